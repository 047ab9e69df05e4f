"""``zebra doctor``: does this installation work, and if not, what is to do?"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import typer

from zebra.cli.choices import AsJson
from zebra.cli.console import out, print_json
from zebra.errors import DriverError, EnvironmentMismatchError, ZebraError
from zebra.version import VERSION

Check = Callable[[], str]


def doctor(as_json: AsJson = False) -> None:
    """Check this installation: Python, TVM, readers, the native libraries, a small network.

    Every line says what was found; a failed one says what to do. Exit code 1 if one failed.
    """
    findings = [_examine(name, check) for name, check in CHECKS]
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            mark = "[green]ok[/green]    " if finding["ok"] else "[red]failed[/red]"
            out.print(f"{mark} {finding['check']:<10} {finding['found']}")
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(1)


def _examine(name: str, check: Check) -> dict[str, Any]:
    try:
        return {"check": name, "ok": True, "found": check()}
    except ZebraError as error:
        return {"check": name, "ok": False, "found": str(error)}
    # A check that dies of anything is a failed check; the others still say what they found.
    except Exception as error:
        return {"check": name, "ok": False, "found": f"{type(error).__name__}: {error}"}


def _python() -> str:
    found = platform.python_version()
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        raise EnvironmentMismatchError(
            f"Python {found}: Zebra runs on 3.10 to 3.13; make a virtual environment with one"
        )
    return f"{found} on {platform.machine()}"


def _zebra() -> str:
    return VERSION


def _tvm() -> str:
    from zebra.plugin.environment import require_tvm

    return f"{require_tvm().__version__}"


def _readers() -> str:
    found = []
    for package in ("onnx", "tflite", "pillow"):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            raise EnvironmentMismatchError(
                f"{package} is missing; install Zebra again with pip install tvm-zebra"
            ) from None
    return ", ".join(found)


def _native() -> str:
    from zebra.plugin import install
    from zebra.runtime.tvm_module import library_path

    install()
    return str(library_path())


def _configs() -> str:
    from zebra.hw import available_configs

    return ", ".join(available_configs())


def _network() -> str:
    """Compile and run a convolution, and compare it bit for bit with plain TVM."""
    from zebra.cli.selftest import differing_values

    different, total = differing_values()
    if different:
        raise DriverError(
            f"{different} of {total} values of a small convolution differ from TVM's: report it"
        )
    return f"{total} values of a small convolution equal TVM's, bit for bit"


CHECKS: tuple[tuple[str, Check], ...] = (
    ("python", _python),
    ("zebra", _zebra),
    ("tvm", _tvm),
    ("readers", _readers),
    ("native", _native),
    ("configs", _configs),
    ("network", _network),
)
