"""The arithmetic that accelerator results are compared with (promise P1)."""

from __future__ import annotations

from contextlib import AbstractContextManager

from tvm import relay


def exact_reference() -> AbstractContextManager[object]:
    """A context in which ``relay.build(qnn_module, target="llvm")`` is the oracle.

    It fixes what TVM otherwise chooses by host: ``qnn.requantize`` rounds half
    up and computes in int64. The target must be plain "llvm": other CPU names
    compute int8 convolutions with saturation.
    """
    context: AbstractContextManager[object] = relay.qnn.op.requantize_config(
        rounding="UPWARD", compute_dtype="int64"
    )
    return context
