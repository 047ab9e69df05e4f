"""The operator groups that become one node of the accelerator, found in typed Relay.

``match`` explains one 8-bit tensor: which calls, back to other 8-bit tensors,
compute it. It only recognises the shape of a group; whether the accelerator
takes it is supported.py's question.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import relay

from zebra.relay.expr import Expr, dtype, is_byte, is_tensor, op_name, scalar, type_range
from zebra.relay.unary import Unary, find_unary

INT32_RANGE = (-(1 << 31), (1 << 31) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A group of calls that computes the 8-bit tensor ``root`` from 8-bit ``inputs``."""

    root: Expr
    inputs: tuple[Expr, ...]
    calls: tuple[Expr, ...]
    """The calls it covers, in the order they compute."""


@dataclass(frozen=True, slots=True, eq=False)
class UnaryForm(Form):
    """An element-wise function of one tensor: a table."""

    unary: Unary


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """What follows an int32 result: [requantize] then clips and casts to 8 bits."""

    calls: tuple[Expr, ...]
    requantize: Expr | None
    low: int
    high: int
    exact: bool
    """False where a cast could wrap (nothing clips to its range) or a clip is not integer."""


@dataclass(frozen=True, slots=True, eq=False)
class ConvForm(Form):
    """conv2d, conv2d_transpose or dense: int32 core, added constants, then the tail."""

    core: Expr
    added: tuple[Expr, ...]
    """The nn.bias_add and add calls between the core and the tail."""
    tail: Tail


@dataclass(frozen=True, slots=True, eq=False)
class AverageForm(Form):
    """An int32 average: of ``prefix``, an element-wise integer function of the input."""

    core: Expr
    prefix: Unary | None
    """None where the average is computed on the 8-bit tensor itself."""
    tail: Tail


@dataclass(frozen=True, slots=True, eq=False)
class MaxForm(Form):
    """A maximum over windows of an 8-bit tensor."""


@dataclass(frozen=True, slots=True, eq=False)
class BinaryForm(Form):
    """qnn.add, qnn.subtract or qnn.mul of two 8-bit tensors."""


@dataclass(frozen=True, slots=True, eq=False)
class ConcatForm(Form):
    """concatenate or qnn.concatenate of 8-bit tensors."""


@dataclass(frozen=True, slots=True, eq=False)
class MoveForm(Form):
    """An operator that only moves bytes: reshape, transpose, slice, pad, upsampling ..."""


CONVOLUTIONS = ("qnn.conv2d", "qnn.conv2d_transpose", "qnn.dense")
AVERAGES = ("nn.avg_pool2d", "nn.global_avg_pool2d", "nn.adaptive_avg_pool2d", "mean")
MAXIMA = ("nn.max_pool2d", "nn.global_max_pool2d", "nn.adaptive_max_pool2d", "max")
BINARIES = ("qnn.add", "qnn.subtract", "qnn.mul")
CONCATENATIONS = ("concatenate", "qnn.concatenate")
RESHAPES = (
    "contrib_reverse_reshape",
    "expand_dims",
    "nn.batch_flatten",
    "reshape",
    "squeeze",
)
MOVES = (
    *RESHAPES,
    "transpose",
    "layout_transform",
    "strided_slice",
    "nn.pad",
    "nn.upsampling",
    "image.resize2d",
    "nn.depth_to_space",
    "nn.space_to_depth",
)


def match(root: Expr) -> Form | None:
    """The group that ends in the 8-bit tensor ``root``; None where there is none."""
    if not is_byte(root):
        return None
    if isinstance(root, relay.TupleGetItem):
        return _match_split(root)
    if not isinstance(root, relay.Call):
        return None
    for matcher in _MATCHERS:
        form = matcher(root)
        if form is not None:
            return form
    return None


def _match_unary(root: Expr) -> Form | None:
    unary = find_unary(root)
    return None if unary is None else UnaryForm(root, (unary.source,), unary.calls, unary)


def _strip_tail(root: Expr) -> tuple[Tail, Expr]:
    """The tail that ends in ``root`` and the int32 expression it starts from."""
    chain: list[Expr] = []
    cursor = root
    while op_name(cursor) in ("clip", "cast", "qnn.requantize"):
        chain.append(cursor)
        cursor = cursor.args[0]
        if op_name(chain[-1]) == "qnn.requantize":
            break
    chain.reverse()
    requantize = chain[0] if chain and op_name(chain[0]) == "qnn.requantize" else None
    start = type_range(dtype(requantize)) if requantize is not None else INT32_RANGE
    low, high, exact = _clamped(chain, *start)
    return Tail(tuple(chain), requantize, low, high, exact), cursor


def _clamped(chain: list[Expr], low: int, high: int) -> tuple[int, int, bool]:
    exact = True
    for call in chain:
        if op_name(call) == "clip":
            bounds = float(call.attrs.a_min), float(call.attrs.a_max)
            exact = exact and all(bound == int(bound) for bound in bounds)
            low, high = max(low, int(bounds[0])), min(high, int(bounds[1]))
            exact = exact and low <= high
        elif op_name(call) == "cast" and dtype(call) in ("int8", "uint8", "int32"):
            least, most = type_range(dtype(call))
            exact = exact and least <= low and high <= most
            low, high = max(low, least), min(high, most)
        elif op_name(call) == "cast":
            exact = False
    return low, high, exact


def _match_conv(root: Expr) -> Form | None:
    tail, cursor = _strip_tail(root)
    added: list[Expr] = []
    while op_name(cursor) in ("nn.bias_add", "add"):
        added.append(cursor)
        left, right = cursor.args
        cursor = right if isinstance(left, relay.Constant) else left
    if op_name(cursor) not in CONVOLUTIONS or tail.requantize is None:
        return None
    added.reverse()
    calls = (cursor, *added, *tail.calls)
    return ConvForm(root, (cursor.args[0],), calls, cursor, tuple(added), tail)


def _match_average(root: Expr) -> Form | None:
    tail, core = _strip_tail(root)
    if op_name(core) not in AVERAGES:
        return None
    data = core.args[0]
    if is_byte(data):
        return AverageForm(root, (data,), (core, *tail.calls), core, None, tail)
    prefix = find_unary(data)
    if prefix is None:
        return None
    calls = (*prefix.calls, core, *tail.calls)
    return AverageForm(root, (prefix.source,), calls, core, prefix, tail)


def _match_max(root: Expr) -> Form | None:
    return MaxForm(root, (root.args[0],), (root,)) if op_name(root) in MAXIMA else None


def _match_binary(root: Expr) -> Form | None:
    return BinaryForm(root, tuple(root.args[:2]), (root,)) if op_name(root) in BINARIES else None


def _match_concat(root: Expr) -> Form | None:
    if op_name(root) not in CONCATENATIONS or not isinstance(root.args[0], relay.Tuple):
        return None
    return ConcatForm(root, tuple(root.args[0].fields), (root,))


def _match_move(root: Expr) -> Form | None:
    if op_name(root) not in MOVES or not is_tensor(root.args[0]):
        return None
    return MoveForm(root, (root.args[0],), (root,))


def _match_split(root: Expr) -> Form | None:
    split = root.tuple_value
    return MoveForm(root, (split.args[0],), (split,)) if op_name(split) == "split" else None


_MATCHERS: tuple[Callable[[Expr], Form | None], ...] = (
    _match_unary,
    _match_conv,
    _match_average,
    _match_max,
    _match_binary,
    _match_concat,
    _match_move,
)


def is_compute(form: Form) -> bool:
    """True where the group calculates; a region needs at least one such group."""
    if isinstance(form, UnaryForm):
        return any(op_name(call) not in ("cast", "reinterpret", "copy") for call in form.calls)
    return not isinstance(form, MoveForm) and op_name(form.root) != "concatenate"


def is_heavy(form: Form) -> bool:
    """True where the group is more than a table."""
    return is_compute(form) and not isinstance(form, UnaryForm)


def pad_value(form: MoveForm) -> int | None:
    """The constant that nn.pad fills with, or None where it is not one integer."""
    value = scalar(form.root.args[1])
    return int(value) if value is not None and value == int(value) else None
