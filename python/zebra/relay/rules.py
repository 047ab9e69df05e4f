"""The rules of supported.py: each one small function, whose docstring is the rule.

A rule returns None, or the value seen and the limit it breaks. Rules of an
operator are asked in order, so a later one may rely on an earlier one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relay

from zebra.hw import HwConfig
from zebra.numerics import MAX_SHIFT, divider
from zebra.relay import composites as c
from zebra.relay.expr import Expr, constant, dtype, is_byte, op_name, scalar, shape, type_range
from zebra.relay.geometry import average_input, kernel_matrix, pool_windows, upsample_factor
from zebra.relay.scales import read_binary, read_requantize, scale_ratios, shifts_fit
from zebra.relay.unary import rounds_upward

Seen = tuple[str, str] | None
"""(value seen, limit) of a broken rule, or None."""


Rule = Callable[[Any, HwConfig], Seen]


def inputs_are_bytes(form: c.Form, config: HwConfig) -> Seen:
    """Every operand is an int8 or uint8 tensor of static shape."""
    for value in form.inputs:
        if not is_byte(value):
            return _type_text(value), "int8 or uint8"
    return None


def rank(form: c.Form, config: HwConfig) -> Seen:
    """Operands and result have at most 4 dimensions."""
    most = max(len(shape(value)) for value in (*form.inputs, form.root))
    return (f"{most} dimensions", "4") if most > 4 else None


def fits_dram(form: c.Form, config: HwConfig) -> Seen:
    """Each tensor, padded to whole vectors, is smaller than the 4 GiB of DRAM addresses."""
    most = max(math.prod(shape(value)) for value in (*form.inputs, form.root)) * config.block
    return (f"{most} bytes", "4294967295") if most >= 1 << 32 else None


def weights_constant(form: c.ConvForm, config: HwConfig) -> Seen:
    """The weights are a constant."""
    return None if constant(form.core.args[1]) is not None else ("computed weights", "a constant")


def core_zero_points(form: c.ConvForm, config: HwConfig) -> Seen:
    """The input's zero point is one constant of its type, the weights' one or one per channel."""
    zero, kernel_zero = scalar(form.core.args[2]), constant(form.core.args[3])
    low, high = type_range(dtype(form.inputs[0]))
    if zero is None or kernel_zero is None:
        return "a computed or per-channel zero point", "constants"
    return None if low <= zero <= high else (f"zero point {zero}", f"{low}..{high}")


def weight_range(form: c.ConvForm, config: HwConfig) -> Seen:
    """A weight less its zero point is a sum of two int8."""
    weight = kernel_matrix(form)
    low, high = int(weight.min()), int(weight.max())
    return None if low >= -256 and high <= 254 else (f"weights {low}..{high}", "-256..254")


def layouts(form: c.ConvForm, config: HwConfig) -> Seen:
    """The data is NCHW or NHWC (dense: 2-D), the result has the same layout."""
    if op_name(form.core) == "qnn.dense":
        ranks = len(shape(form.inputs[0]))
        return None if ranks == 2 else (f"{ranks}-D data", "2-D")
    attrs = form.core.attrs
    if attrs.data_layout not in ("NCHW", "NHWC") or sorted(attrs.kernel_layout) != list("HIOW"):
        return f"{attrs.data_layout}, {attrs.kernel_layout}", "NCHW or NHWC"
    same = attrs.out_layout in ("", attrs.data_layout)
    return None if same else (f"out_layout {attrs.out_layout}", attrs.data_layout)


def transpose_dilation(form: c.ConvForm, config: HwConfig) -> Seen:
    """A transposed convolution is not dilated."""
    if op_name(form.core) != "qnn.conv2d_transpose":
        return None
    dilation = [int(d) for d in form.core.attrs.dilation]
    return None if dilation == [1, 1] else (f"dilation {dilation}", "[1, 1]")


def bias_constant(form: c.ConvForm, config: HwConfig) -> Seen:
    """What is added before requantization is a constant, one value or one per channel."""
    axis = channel_axis(form)
    channels = shape(form.core)[axis]
    for call in form.added:
        operands = [constant(arg) for arg in call.args if isinstance(arg, relay.Constant)]
        if len(operands) != 1 or operands[0] is None:
            return "a computed operand", "a constant"
        if not _per_channel(call, operands[0], axis, channels, len(shape(form.core))):
            return f"{op_name(call)} of shape {list(operands[0].shape)}", "one per channel"
    return None


def channel_axis(form: c.ConvForm) -> int:
    """The channel axis of the core's result."""
    if op_name(form.core) == "qnn.dense":
        return len(shape(form.core)) - 1
    return str(form.core.attrs.data_layout).index("C")


def _per_channel(call: Expr, array: npt.NDArray[Any], axis: int, channels: int, dims: int) -> bool:
    if array.size == 1:
        return True
    if op_name(call) == "nn.bias_add":
        return int(call.attrs.axis) % dims == axis and array.size == channels
    aligned = [1] * (dims - array.ndim) + list(array.shape)
    return aligned == [channels if i == axis else 1 for i in range(dims)]


def requantize_constant(form: c.ConvForm, config: HwConfig) -> Seen:
    """Scales and zero points are positive constants, per tensor or per output channel."""
    call: Any = form.tail.requantize
    found = read_requantize(call)
    if found is None:
        return "computed or unusable scales", "positive constants"
    axis, dims = int(call.attrs.axis), len(shape(form.core))
    vector = max(found.multiplier.size, found.zero_in.size) > 1
    if vector and axis % dims != channel_axis(form):
        return f"scales along axis {axis}", f"axis {channel_axis(form)}"
    return None


def tail_multiplier(form: c.ConvForm | c.AverageForm, config: HwConfig) -> Seen:
    """The ratio of the scales needs a right shift of 1..62."""
    if form.tail.requantize is None:
        return None
    found = read_requantize(form.tail.requantize)
    if found is None:
        return "computed or unusable scales", "positive constants"
    return _shift_range(found.shift)


def _shift_range(shift: npt.NDArray[np.int32]) -> Seen:
    seen = f"shift {int(shift.min())}..{int(shift.max())}"
    return None if shifts_fit(shift) else (seen, f"1..{MAX_SHIFT}")


def tail_rounding(form: c.ConvForm | c.AverageForm, config: HwConfig) -> Seen:
    """The requantization names no rounding of its own other than UPWARD in int64."""
    call = form.tail.requantize
    if call is None or rounds_upward(call):
        return None
    return f"rounding {call.attrs.rounding} in {call.attrs.compute_dtype}", "UPWARD in int64"


def tail_exact(form: c.ConvForm, config: HwConfig) -> Seen:
    """A cast to 8 bits follows an integer clip to the type's range."""
    return None if form.tail.exact else ("a cast that can wrap", "a clip before it")


def average_of_integers(form: c.AverageForm, config: HwConfig) -> Seen:
    """The average is computed in int32, of an integer function of the 8-bit tensor."""
    if form.prefix is None or dtype(form.core) != "int32":
        return f"an average in {dtype(form.core)}", "int32"
    if average_input(form) is None:
        return "a function that is not gain * (x - zero point)", "such a function, or 8-bit values"
    return None


def average_fits(form: c.AverageForm, config: HwConfig) -> Seen:
    """Sums stay inside int32, and each window's divisor has an exact reciprocal."""
    source, windows = average_input(form), pool_windows(form)
    if source is None or windows is None:
        return "windows or values the accelerator does not have", "see the other rules"
    for area, divisor in windows.areas(shape(form.inputs[0])):
        limit = 255 * area
        if limit * source.gain >= 1 << 31:
            return f"sums to {limit * source.gain}", "2147483647"
        try:
            divider(divisor, source.gain, limit)
        except ValueError:
            return f"divisor {divisor}", "an exact reciprocal"
    return None


def average_tail(form: c.AverageForm, config: HwConfig) -> Seen:
    """The average becomes 8-bit by requantization per tensor, or by a cast that cannot wrap."""
    if form.tail.requantize is not None:
        found = read_requantize(form.tail.requantize)
        if found is None or found.multiplier.size != 1 or found.zero_in.size != 1:
            return "computed or per-channel scales", "one constant scale"
        return tail_exact_text(form.tail.exact)
    source = average_input(form)
    low, high = type_range(dtype(form.root))
    if source is None or source.low < low or source.high > high:
        return "a cast that can wrap", f"values {low}..{high}"
    return None


def tail_exact_text(exact: bool) -> Seen:
    """The common answer where a tail's cast could wrap."""
    return None if exact else ("a cast that can wrap", "a clip before it")


def pool_form(form: c.MaxForm | c.AverageForm, config: HwConfig) -> Seen:
    """Windows are not dilated, the layout is NCHW or NHWC, a reduction leaves at most 2 axes."""
    core = form.core if isinstance(form, c.AverageForm) else form.root
    return None if pool_windows(form) is not None else (op_name(core), "plain 2-D windows")


def binary_scalars(form: c.BinaryForm, config: HwConfig) -> Seen:
    """Scales and zero points are constants, one per tensor."""
    seen = ("computed or per-channel scales", "scalar constants")
    return seen if read_binary(form.root) is None else None


def binary_multipliers(form: c.BinaryForm, config: HwConfig) -> Seen:
    """The ratios of the scales need right shifts of 1..62."""
    found = read_binary(form.root)
    if found is None:
        return "computed or per-channel scales", "scalar constants"
    if op_name(form.root) == "qnn.mul":
        return _shift_range(scale_ratios(found.product, found.scale_out)[1])
    shifts = [scale_ratios(scale, found.scale_out)[1] for scale in (found.scale_a, found.scale_b)]
    return _shift_range(np.concatenate(shifts))


def one_type(form: c.Form, config: HwConfig) -> Seen:
    """Operands and result have the same 8-bit type."""
    kinds = sorted({dtype(value) for value in (*form.inputs, form.root)})
    return None if len(kinds) == 1 else (" and ".join(kinds), "one type")


def some_operand_varies(form: c.Form, config: HwConfig) -> Seen:
    """At least one operand is not a constant."""
    fixed = all(isinstance(value, relay.Constant) for value in form.inputs)
    return ("constants only", "a computed operand") if fixed else None


def concat_scalars(form: c.ConcatForm, config: HwConfig) -> Seen:
    """Scales and zero points are positive constants, one per tensor."""
    if op_name(form.root) == "concatenate":
        return None
    parameters = [*form.root.args[1].fields, *form.root.args[2].fields, *form.root.args[3:5]]
    bad = any(scalar(parameter) is None for parameter in parameters)
    return ("computed or per-channel scales", "scalar constants") if bad else None


def slice_strides(form: c.MoveForm, config: HwConfig) -> Seen:
    """A slice has constant bounds and strides of at least 1."""
    if op_name(form.root) != "strided_slice":
        return None
    attrs = form.root.attrs
    if len(form.root.args) != 1 or attrs.begin is None:
        return "computed bounds", "constants"
    strides = [int(stride) for stride in attrs.strides or [1]]
    return (f"strides {strides}", "at least 1") if min(strides) < 1 else None


def pad_constant(form: c.MoveForm, config: HwConfig) -> Seen:
    """A pad fills any axis but the batch with one constant of the tensor's type."""
    if op_name(form.root) != "nn.pad":
        return None
    attrs, value = form.root.attrs, c.pad_value(form)
    widths = [tuple(int(side) for side in pair) for pair in attrs.pad_width]
    if attrs.pad_mode != "constant" or value is None:
        return f"pad_mode {attrs.pad_mode}", "one constant"
    low, high = type_range(dtype(form.root))
    if not low <= value <= high:
        return f"value {value}", f"{low}..{high}"
    bad = widths[0] != (0, 0) or min(min(pair) for pair in widths) < 0
    return (f"pad_width {widths}", "no batch padding, no negative padding") if bad else None


def upsample_nearest(form: c.MoveForm, config: HwConfig) -> Seen:
    """A resize is nearest neighbour by whole factors, out[i] = in[i // factor]."""
    if op_name(form.root) not in ("nn.upsampling", "image.resize2d"):
        return None
    attrs = form.root.attrs
    method = f"{attrs.method}, {shape(form.inputs[0])} to {shape(form.root)}"
    return None if upsample_factor(form) is not None else (method, "nearest by whole factors")


def transform_layouts(form: c.MoveForm, config: HwConfig) -> Seen:
    """A layout_transform is a permutation of axes, without blocking."""
    if op_name(form.root) != "layout_transform":
        return None
    attrs = form.root.attrs
    plain = sorted(attrs.src_layout) == sorted(attrs.dst_layout) and attrs.src_layout.isupper()
    seen = f"{attrs.src_layout} to {attrs.dst_layout}"
    return None if plain and attrs.src_layout.isalpha() else (seen, "letters only")


def move_rank(form: c.MoveForm, config: HwConfig) -> Seen:
    """Slices, pads and resizes have at most 4 dimensions; reshape and transpose have any."""
    if op_name(form.root) in (*c.RESHAPES, "transpose", "nn.depth_to_space", "nn.space_to_depth"):
        return None
    return rank(form, config)


def _type_text(value: Expr) -> str:
    return f"{dtype(value)} operand" if dtype(value) else "an operand that is no tensor"
