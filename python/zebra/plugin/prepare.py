"""A user's Relay module made ready for TVM: quantized if float, and partitioned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import relay
from tvm.ir import IRModule
from tvm.target import Target

from zebra.plugin.targets import config_of

COMPILER = "zebra"


def prepare(mod: IRModule, params: Mapping[str, Any], target: Target) -> IRModule:
    """The module with its parameters bound and its regions cut out; ``mod`` is not changed.

    A module that is partitioned already is only bound, a quantized one (any
    ``qnn`` operator) is legalized and partitioned, a float one is quantized first,
    with the data of the surrounding ``zebra.calibrate`` if there is one.
    """
    if is_partitioned(mod):
        return bind(mod, params)
    # Only such a build needs these rooms: importing Zebra stays cheap.
    from zebra.relay import legalize, partition, quantize
    from zebra.relay.calibration import current_calibration

    config = config_of(target)
    if is_quantized(mod):
        mod = legalize(bind(mod, params))
    else:
        mod = quantize(mod, params, current_calibration(), target=f"zebra/{config.name}")
    return partition(mod, config)


def is_partitioned(mod: IRModule) -> bool:
    """Whether some function is for the accelerator already."""
    return any(is_region(function) for function in mod.functions.values())


def is_region(function: Any) -> bool:
    """Whether a function of a module is for the accelerator."""
    return function.attrs is not None and function.attrs.get("Compiler") == COMPILER


def is_quantized(mod: IRModule) -> bool:
    """Whether some operator is of TVM's quantized dialect, relay.qnn."""
    return any(name.startswith("qnn.") for name in relay.analysis.list_op_freqs(mod))


def bind(mod: IRModule, params: Mapping[str, Any]) -> IRModule:
    """The module with the parameters in place of main's variables of the same names."""
    bound = mod.clone()
    if params:
        bound["main"] = relay.build_module.bind_params_by_name(mod["main"], dict(params))
    return bound
