"""Relay modules saved as text (``mod.astext()``) or JSON (``tvm.ir.save_json``)."""

from __future__ import annotations

from typing import Any

from zebra.errors import ModelError
from zebra.frontend.model import Dims, Format, ModelInfo, TensorInfo


def parse(data: bytes, form: Format, origin: str) -> Any:
    """The typed module; ModelError if it cannot be parsed or has no @main."""
    import tvm
    from tvm import relay

    try:
        text = data.decode("utf-8")
        module = tvm.ir.load_json(text) if form is Format.RELAY_JSON else relay.fromtext(text)
        module = relay.transform.InferType()(module)
        module["main"].checked_type  # noqa: B018 - raises where there is no function @main
    # TVM raises whatever its reader runs into: TVMError, KeyError, ValueError...
    except Exception as error:
        raise ModelError(
            f"{origin} starts like a Relay module ({form.value}) but is not one that TVM 0.19 "
            f"reads: {last_line(error)}"
        ) from error
    return module


def describe(module: Any, form: Format, origin: str) -> ModelInfo:
    """The parameters of @main are the inputs; outputs are numbered."""
    main = module["main"]
    result = main.checked_type.ret_type
    outputs = list(result.fields) if hasattr(result, "fields") else [result]
    return ModelInfo(
        origin,
        form,
        tuple(_tensor(str(var.name_hint), var.checked_type) for var in main.params),
        tuple(_tensor(f"output_{index}", each) for index, each in enumerate(outputs)),
    )


def last_line(error: BaseException) -> str:
    """What a TVM error says at its end, without the C++ stack above it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _tensor(name: str, checked_type: Any) -> TensorInfo:
    import tvm

    dims: Dims = tuple(
        int(dim) if isinstance(dim, tvm.tir.IntImm) else "?" for dim in checked_type.shape
    )
    return TensorInfo(name, dims, str(checked_type.dtype))
