"""Write the files that follow from the instruction set's declaration.

``python tools/generate.py`` writes them; with ``--check`` it only compares and
exits with 1 where a committed file differs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from zebra.isa.document import document
from zebra.isa.header import header

ROOT = Path(__file__).parents[1]

GENERATED: dict[str, Callable[[], str]] = {
    "docs/isa.md": document,
    "include/zebra/isa.h": header,
}


def main(arguments: list[str]) -> int:
    """Write or check every generated file; returns the exit code."""
    stale = 0
    for name, generate in GENERATED.items():
        path = ROOT / name
        text = generate()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if "--check" in arguments:
            print(f"{name} differs from its declaration; run python tools/generate.py")
            stale += 1
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
