"""The command line; see ``zebra --help``."""

from __future__ import annotations

from zebra.cli.entry import main

__all__ = ["main"]
