"""The ``zebra`` command's door, outside the package.

Importing ``zebra`` adds it to TVM, which takes seconds and fails where TVM is
missing. The package does not do so where this module is loaded; the commands
that need TVM do, so that ``zebra --help`` is quick and ``zebra doctor`` works
without TVM.
"""

from __future__ import annotations


def main() -> int:
    """Run the command line; returns its exit code."""
    from zebra.cli.entry import main as run

    return run()
