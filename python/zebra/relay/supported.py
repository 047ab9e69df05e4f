"""What the accelerator takes: a table of operators, each with its rules.

The table gives the check, the reasons that ``inspect`` reports and
docs/supported_ops.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from zebra.hw import HwConfig
from zebra.relay import composites as c
from zebra.relay import rules as r
from zebra.relay.unary import ELEMENTWISE


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an operator stays on the host."""

    rule: str
    seen: str
    limit: str


@dataclass(frozen=True, slots=True)
class Operator:
    """A row of the table: the Relay operators of one form, how it looks, its rules."""

    name: str
    relay: tuple[str, ...]
    form: type[c.Form]
    looks: str
    rules: tuple[r.Rule, ...]


_COMMON: tuple[r.Rule, ...] = (r.inputs_are_bytes, r.some_operand_varies, r.fits_dram)
_TAIL: tuple[r.Rule, ...] = (r.tail_multiplier, r.tail_rounding)

OPERATORS: tuple[Operator, ...] = (
    Operator(
        "Convolution, transposed convolution, dense",
        c.CONVOLUTIONS,
        c.ConvForm,
        "an int32 result, constants added to it, then qnn.requantize (and clip, cast) to 8 bits",
        (
            *_COMMON,
            r.rank,
            r.weights_constant,
            r.core_zero_points,
            r.layouts,
            r.transpose_dilation,
            r.weight_range,
            r.bias_constant,
            r.requantize_constant,
            *_TAIL,
            r.tail_exact,
        ),
    ),
    Operator(
        "Average pooling, mean",
        c.AVERAGES,
        c.AverageForm,
        "a cast to int32, the average, then qnn.requantize or a cast to 8 bits",
        (
            *_COMMON,
            r.rank,
            r.pool_form,
            r.average_of_integers,
            r.average_fits,
            r.average_tail,
            *_TAIL,
        ),
    ),
    Operator(
        "Max pooling",
        c.MAXIMA,
        c.MaxForm,
        "a maximum of an 8-bit tensor",
        (*_COMMON, r.rank, r.pool_form),
    ),
    Operator(
        "Add, subtract, multiply",
        c.BINARIES,
        c.BinaryForm,
        "the qnn operator on two 8-bit tensors, which may broadcast",
        (*_COMMON, r.rank, r.one_type, r.binary_scalars, r.binary_multipliers),
    ),
    Operator(
        "Concatenation",
        c.CONCATENATIONS,
        c.ConcatForm,
        "8-bit tensors joined, requantized first where qnn.concatenate says so",
        (*_COMMON, r.rank, r.one_type, r.concat_scalars),
    ),
    Operator(
        "Moving data",
        (*c.MOVES, "split"),
        c.MoveForm,
        "an 8-bit tensor in, the same elements (or a constant) out",
        (
            *_COMMON,
            r.transform_layouts,
            r.move_rank,
            r.slice_strides,
            r.pad_constant,
            r.upsample_nearest,
        ),
    ),
    Operator(
        "Element-wise functions of one tensor",
        (),
        c.UnaryForm,
        "any chain of element-wise operators from one 8-bit tensor to 8 bits, scalar constants "
        "only; becomes a table of 256 entries",
        (*_COMMON,),
    ),
)
CONVERSION = (
    "Conversions between float and 8 bits run on the host: the accelerator holds 8-bit integers."
)
FLOAT = "Float operators run on the host, unless they lie between quantized tensors as a table."
ONLY_TABLES = Reason(
    "Beside regions that multiply or pool, tables alone are not worth a trip to the accelerator.",
    "only element-wise functions",
    "an operator of two tensors, a convolution or a pool",
)
NOTHING_TO_COMPUTE = Reason(
    "A region computes something: moving data alone is left to the host.",
    "only data movement",
    "at least one operator that computes",
)
_BY_FORM = {operator.form: operator for operator in OPERATORS}


def check(form: c.Form, config: HwConfig) -> Reason | None:
    """The first rule that ``form`` breaks, or None where the accelerator takes it."""
    for rule in _BY_FORM[type(form)].rules:
        broken = rule(form, config)
        if broken is not None:
            return Reason(sentence(rule), *broken)
    return None


_UNKNOWN = "The operator is one that the accelerator has (docs/supported_ops.md)."


def unmatched(name: str, types: str) -> Reason:
    """Why a call of operator ``name`` is in no group; ``types``: of its operands and result."""
    if name in ("qnn.quantize", "qnn.dequantize"):
        return Reason(CONVERSION, types, "8 bits in and out")
    for operator in OPERATORS:
        names = ELEMENTWISE if operator.form is c.UnaryForm else operator.relay
        if name in names:
            return Reason(f"{operator.name}: {operator.looks}.", types, "that form")
    if "float" in types:
        return Reason(FLOAT, types, "8 bits in and out")
    return Reason(_UNKNOWN, name, "an operator of that list")


def sentence(rule: r.Rule) -> str:
    """The rule as users read it."""
    return " ".join((rule.__doc__ or "").split())


def to_markdown() -> str:
    """docs/supported_ops.md: what runs on the accelerator, and under which rules."""
    lines = [
        "# Supported operators",
        "",
        "Generated from `zebra/relay/supported.py`; a test compares the two.",
        "",
        "An operator that breaks a rule runs on the host, and `zebra inspect` names the rule,",
        "the value seen and the limit. All tensors are int8 or uint8 where an operator begins",
        "and ends; what it computes in between may have any type.",
    ]
    for operator in OPERATORS:
        names = sorted(ELEMENTWISE) if operator.form is c.UnaryForm else operator.relay
        lines += ["", f"## {operator.name}", "", f"Form: {operator.looks}.", ""]
        lines += [", ".join(f"`{name}`" for name in names) + ".", ""]
        lines += [f"- {sentence(rule)}" for rule in operator.rules]
    rules = (NOTHING_TO_COMPUTE.rule, ONLY_TABLES.rule, CONVERSION, FLOAT)
    lines += ["", "## Regions", "", *(f"- {rule}" for rule in rules)]
    return "\n".join(lines) + "\n"
