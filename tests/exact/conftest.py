"""TVM asks for its own build options at every lowered operator; asking once halves the tests."""

from __future__ import annotations

from functools import cache

import tvm.support

tvm.support.libinfo = cache(tvm.support.libinfo)
