"""TVM asks for its own build options at every lowered operator; asking once halves a build."""

from __future__ import annotations

from functools import cache

from tvm.relay.backend import te_compiler

te_compiler.libinfo = cache(te_compiler.libinfo)
