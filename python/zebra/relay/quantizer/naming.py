"""What the user's model calls the value of a step."""

from __future__ import annotations

from tvm import relay

from zebra.relay.quantizer.rewriting import Expr, op_name
from zebra.relay.quantizer.steps import Binary, Linear, Step


def kind_of(step: Step) -> str:
    """Relay's operator: a layer's own, not that of its bias or clip."""
    if isinstance(step, Binary):
        return step.operator
    expr = step.call if isinstance(step, Linear) else step.expr
    return op_name(expr) or type(step).__name__.lower()


def name_of(step: Step) -> str | None:
    """The name of an input or of the model's operator; None where no span has it.

    A layer is called after its multiplication. TFLite joins the names of fused operators by
    semicolons, of which the first is that of the result.
    """
    if isinstance(step.expr, relay.Var):
        return str(step.expr.name_hint)
    found = _source(step.call) if isinstance(step, Linear) else None
    return found or _source(step.expr)


def _source(expr: Expr) -> str | None:
    span = getattr(expr, "span", None)
    source = getattr(span, "source_name", None)
    return None if source is None else str(source.name).split(";")[0] or None
