"""Regions kept away from TVM's passes while the host's part is compiled.

TVM infers the types of every function again after each of some seventy passes.
A region is done with when it is cut out, so TVM gets a stub of the same type
in its place and the code generator the region itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import relay
from tvm.ir import IRModule

from zebra.plugin.prepare import is_region


def set_aside(mod: IRModule) -> tuple[IRModule, Mapping[str, Any]]:
    """The module with a stub for each region, and the regions by their global symbol.

    A stub has the region's parameters, result type and attributes, and computes
    zeros. ``mod`` is not changed.
    """
    mod = relay.transform.InferType()(mod)
    regions: dict[str, Any] = {}
    for variable, function in mod.functions.items():
        if is_region(function):
            regions[str(function.attrs["global_symbol"])] = function
            mod[variable] = _stub(function)
    return mod, regions


def _stub(region: Any) -> Any:
    params = [relay.Var(param.name_hint, param.checked_type) for param in region.params]
    stub = relay.Function(params, _zeros(region.body.checked_type))
    return relay.transform.InferType()(IRModule.from_expr(stub))["main"].with_attr(
        dict(region.attrs)
    )


def _zeros(kind: Any) -> Any:
    if isinstance(kind, relay.TupleType):
        return relay.Tuple([_zeros(field) for field in kind.fields])
    return relay.zeros(kind.shape, kind.dtype)
