"""Write the sample artifact to the file named on the command line, for fuzz.cc."""

from __future__ import annotations

import sys

from tests.support.artifacts import copy_artifact

copy_artifact().save(sys.argv[1])
