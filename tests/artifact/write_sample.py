"""Write a sample artifact with a folded input to the file on the command line, for fuzz.cc."""

from __future__ import annotations

import sys

from tests.support.artifacts import folded_artifact

folded_artifact().save(sys.argv[1])
