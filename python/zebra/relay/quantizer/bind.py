"""Pass: put the parameters into the function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relay

from zebra.errors import QuantizationError
from zebra.relay.quantizer.rewriting import infer_type, op_name, post_order, shape_of

STRAIGHT_LINE = (relay.Var, relay.Constant, relay.Call, relay.Tuple, relay.TupleGetItem, tvm.ir.Op)


def bind(mod: tvm.IRModule, params: Mapping[str, Any] | None) -> tvm.IRModule:
    """Only "main", with ``params`` as constants, typed.

    Raises QuantizationError for a parameter that "main" does not have, whose
    shape differs or that holds NaN or infinities, for dynamic shapes, and for an
    operator whose result has no elements.
    """
    if "main" not in [variable.name_hint for variable in mod.get_global_vars()]:
        raise QuantizationError('the module has no function "main"; give one, as a front end does')
    main = mod["main"]
    arrays = {name: _array(value) for name, value in (params or {}).items()}
    _check(main, arrays)
    bound = relay.build_module.bind_params_by_name(main, arrays)
    single = tvm.IRModule.from_expr(bound) if len(mod.functions) == 1 else _replace(mod, bound)
    typed = infer_type(single)
    _check_static(typed)
    _check_elements(typed)
    return typed


def is_straight_line(mod: tvm.IRModule) -> bool:
    """Whether "main" consists of operator calls only (no branches, bindings or functions)."""
    return all(
        isinstance(node, STRAIGHT_LINE) and (not isinstance(node, relay.Call) or op_name(node))
        for node in post_order(mod["main"].body)
    )


def is_quantized(mod: tvm.IRModule) -> bool:
    """Whether the module holds qnn operators already."""
    return any(op_name(node).startswith("qnn.") for node in post_order(mod["main"].body))


def _array(value: Any) -> npt.NDArray[Any]:
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


def _replace(mod: tvm.IRModule, main: relay.Function) -> tvm.IRModule:
    copy = tvm.IRModule(mod.functions, mod.type_definitions)
    copy["main"] = main
    return copy


def _check(main: relay.Function, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    variables = {param.name_hint: param for param in main.params}
    for name, array in arrays.items():
        if name not in variables:
            raise QuantizationError(
                f'parameter {name} is not an argument of "main"; its arguments are '
                f"{', '.join(variables) or 'none'}"
            )
        # A lone infinity is a legal bound (clip to [0, inf)), an infinite weight is not.
        bad = array.dtype.kind == "f" and (
            np.isnan(array).any() or (array.size > 1 and not np.isfinite(array).all())
        )
        if bad:
            raise QuantizationError(
                f"weight {name} holds NaN or infinite values; the model file is damaged or the "
                "training diverged"
            )


def _check_static(mod: tvm.IRModule) -> None:
    for param in mod["main"].params:
        kind = param.checked_type
        if not isinstance(kind, relay.TensorType) or -1 in shape_of(param):
            raise QuantizationError(
                f"input {param.name_hint} has the dynamic type {kind}; give every input a fixed "
                "shape when importing the model"
            )


def _check_elements(mod: tvm.IRModule) -> None:
    for node in post_order(mod["main"].body):
        kind = node.checked_type if isinstance(node, relay.Call) else None
        if isinstance(kind, relay.TensorType) and 0 in list(kind.shape):
            raise QuantizationError(
                f"{op_name(node)} makes a tensor without elements, {kind}; the network's input "
                "is too small for it, or its padding takes away more than there is"
            )
