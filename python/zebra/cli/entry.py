"""``main``: what the ``zebra`` command calls; errors become sentences and exit codes.

0 done; 1 something unexpected, or a check of ``zebra doctor`` failed; 2 the
user's input, model or command is wrong; 130 interrupted.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from zebra.errors import ZebraError, ZebraWarning

OK, UNEXPECTED, WRONG, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. ``--debug``, anywhere, lets errors through."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    # Typer and the commands are imported late so that Ctrl-C is caught while they load.
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            return _run(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else WRONG
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except ZebraError as error:
        if debug:
            raise
        return _say(str(error), WRONG)
    except Exception as error:
        if debug:
            raise
        first = (str(error).strip().splitlines() or [""])[0]
        return _say(
            f"unexpected {type(error).__name__}: {first} (this is a defect of Zebra or TVM; "
            "zebra --debug shows where it happened)",
            UNEXPECTED,
        )


def _run(words: Sequence[str]) -> int:
    from zebra.cli.app import app

    app(args=list(words), prog_name="zebra")
    return OK


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Ours as one sentence; those of the libraries underneath are not the user's to mend."""
    if issubclass(category, ZebraWarning):
        print(f"zebra: warning: {message}", file=sys.stderr)


def _say(sentence: str, code: int) -> int:
    print(f"zebra: {sentence}", file=sys.stderr)
    return code
