"""What a float network is made of, as the quantizer sees it.

A Step defines one value, the tensor of ``expr``, from the values ``inputs``.
Every value but a Host's and an Input's exists in int8; a Host's stays float and
is quantized only for the steps that need it in int8.
"""

from __future__ import annotations

from dataclasses import dataclass

from zebra.relay.quantizer.rewriting import Expr, FloatArray


@dataclass(frozen=True, eq=False)
class Step:
    """Base: ``expr`` in the float module is the value this step defines."""

    expr: Expr
    inputs: tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Input(Step):
    """A float32 argument of the network."""


@dataclass(frozen=True, eq=False)
class Literal(Step):
    """A constant tensor that another step reads."""


@dataclass(frozen=True, eq=False)
class Linear(Step):
    """conv2d, conv2d_transpose or dense, with bias float32 [C] and an optional clip."""

    call: Expr
    weight: FloatArray
    bias: FloatArray
    clip: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Chain(Step):
    """Element-wise operators between one value and ``expr``: one table of 256 entries."""


@dataclass(frozen=True, eq=False)
class Binary(Step):
    """add, subtract or multiply of two values, with an optional clip."""

    operator: str
    clip: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class AveragePool(Step):
    """nn.avg_pool2d, nn.adaptive_avg_pool2d or nn.global_avg_pool2d."""


@dataclass(frozen=True, eq=False)
class Passthrough(Step):
    """Moves, drops, repeats or compares elements: scale and zero point do not change."""


@dataclass(frozen=True, eq=False)
class Concat(Step):
    """Concatenation of values."""

    axis: int


@dataclass(frozen=True, eq=False)
class Host(Step):
    """Anything else: float (or integer) on the host, as it was."""


@dataclass(frozen=True, eq=False)
class Network:
    """Steps in topological order; ``result`` is the value returned (a tuple's Host for several)."""

    steps: tuple[Step, ...]
    result: Expr

    @property
    def read_in_int8(self) -> frozenset[Expr]:
        """Values that a step other than a Host's reads."""
        return frozenset(
            value for step in self.steps if not isinstance(step, Host) for value in step.inputs
        )

    @property
    def observed(self) -> tuple[Expr, ...]:
        """Values whose range calibration must find, in a fixed order."""
        wanted = self.read_in_int8
        return tuple(step.expr for step in self.steps if _has_own_range(step, wanted))


def _has_own_range(step: Step, wanted: frozenset[Expr]) -> bool:
    if isinstance(step, (Input, Host)):
        return step.expr in wanted
    return isinstance(step, (Linear, Chain, Binary, AveragePool))
