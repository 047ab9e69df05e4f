"""relay.ext.zebra: a partitioned Relay function becomes a runtime module."""

from __future__ import annotations

import hashlib
from typing import Any

import tvm
from tvm.target import Target

from zebra.errors import UsageError
from zebra.plugin.aot import c_source_module
from zebra.plugin.build_context import BuildContext, current_build
from zebra.plugin.targets import config_of, is_zebra
from zebra.runtime.tvm_module import load_library


def register_codegen() -> None:
    """Register relay.ext.zebra and its constant updater with TVM."""
    tvm.register_func("relay.ext.zebra", compile_region, override=True)
    # No constants for TVM to keep: they are inside the artifact.
    tvm.register_func("relay.ext.zebra.constant_updater", lambda expr, symbol: {}, override=True)


def compile_region(function: Any) -> Any:
    """The runtime module of one Relay function with Compiler="zebra".

    Compiles for the configuration of the build it is part of; UsageError if
    that build is not for a zebra target.
    """
    symbol = str(function.attrs["global_symbol"])
    context = _context(symbol)
    # Only a build needs the compiler: importing Zebra stays cheap.
    from zebra.artifact import Artifact
    from zebra.codegen.generate import compile_graph
    from zebra.relay import lower
    from zebra.runtime.verify import find_verifier
    from zebra.tune.history import choose_tiling

    graph = lower(context.regions.get(symbol, function), context.config)
    compiled = compile_graph(graph, context.config, choose_tiling, find_verifier())
    data = Artifact(context.config, compiled).to_bytes()
    module = runtime_module(symbol, data)
    if not context.aot:
        return module
    tensors = len(compiled.inputs) + len(compiled.outputs)
    return c_source_module(symbol, artifact_key(symbol, data), tensors, module)


def runtime_module(symbol: str, data: bytes) -> Any:
    """A TVM runtime module whose function ``symbol`` runs the artifact in ``data``.

    The function takes the input tensors, then the output tensors, all int8.
    ArtifactError if ``data`` is not a sound artifact.
    """
    load_library()
    create = tvm.get_global_func("zebra.runtime.create")
    return create(symbol, artifact_key(symbol, data), bytearray(data))


def artifact_key(symbol: str, data: bytes) -> str:
    """The name by which the runtime finds a region: its symbol and its artifact's SHA-256."""
    return f"{symbol}:{hashlib.sha256(data).hexdigest()}"


def _context(symbol: str) -> BuildContext:
    context = current_build()
    if context is not None:
        return context
    target = Target.current(allow_none=True)
    if target is not None and is_zebra(target):
        return BuildContext(config_of(target))
    raise UsageError(
        f"{symbol} is a function for the accelerator in a build for another target; "
        'build it with target="zebra" or "zebra/<config>"'
    )
