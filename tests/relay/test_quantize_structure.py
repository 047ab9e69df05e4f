"""What the quantizer emits, for chosen ranges: the forms that the next stage matches."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import tvm
from tests.support.quantizing import (
    Weights,
    calls,
    emitted,
    module,
    operators,
    pictures,
    scalar,
    simplified,
)
from tvm import relay

from zebra.errors import ConfigError, UsageError
from zebra.numerics import fixed_point, significant_bits
from zebra.relay.quantizer import PIPELINE, quantize
from zebra.relay.quantizer.emit_pool import gain_of
from zebra.relay.quantizer.rewriting import Expr
from zebra.relay.quantizer.scales import choose_qparams, multiplier_bits

IMAGE = (1, 6, 8, 8)


def image() -> Expr:
    return relay.var("x", shape=IMAGE)


def test_relu_joins_a_convolution_that_nothing_else_reads() -> None:
    names = operators(emitted(module(relay.nn.relu(Weights().conv(image(), 6, 4)))))
    layer = ["qnn.conv2d", "nn.bias_add", "qnn.requantize", "clip"]
    assert names == ["qnn.quantize", *layer, "qnn.dequantize"]


def test_relu_stays_apart_from_a_convolution_with_another_reader() -> None:
    conv = Weights().conv(image(), 6, 4)
    mod = emitted(module(relay.nn.relu(conv), conv))
    assert calls(mod, "clip") == []
    (table,) = calls(mod, "take")
    assert table.args[1].args[0] == calls(mod, "qnn.requantize")[0]
    assert (table.attrs.mode, int(table.attrs.axis)) == ("fast", 0)
    assert table.args[1].attrs.dtype == "uint8"


def test_relu_needs_no_clip_where_int8_ends() -> None:
    mod = emitted(module(relay.nn.relu(Weights().conv(image(), 6, 4))), [(-1, 1), (0, 5)])
    assert calls(mod, "clip") == []
    assert scalar(calls(mod, "qnn.requantize")[0].args[4]) == -128


def test_relu_joined_with_signed_values_clips_at_the_zero_point() -> None:
    w = Weights()
    x = image()
    joined = relay.concatenate([relay.nn.relu(w.conv(x, 6, 4)), w.conv(x, 6, 4)], 1)
    mod = emitted(module(joined), [(-1, 1), (0, 3), (-3, 3)])
    (clip,) = calls(mod, "clip")
    requantizes = calls(mod, "qnn.requantize")
    assert len({scalar(r.args[3]) for r in requantizes}) == 1
    assert clip.attrs.a_min == scalar(requantizes[0].args[4])
    assert calls(mod, "take") == []


def test_concatenations_of_concatenations_share_one_scale() -> None:
    w = Weights()
    first = w.conv(image(), 6, 4)
    second = w.conv(first, 4, 2)
    block = relay.concatenate([relay.concatenate([first, second], 1), w.conv(second, 2, 2)], 1)
    mod = emitted(module(relay.nn.max_pool2d(block, (2, 2))), [(-1, 1), (-2, 2), (-1, 3), (-2, 1)])
    (out,) = calls(mod, "qnn.dequantize")
    assert {scalar(r.args[3]) for r in calls(mod, "qnn.requantize")} == {scalar(out.args[1])}
    assert scalar(out.args[1]) == choose_qparams(-2, 3).scale


def test_a_narrow_value_read_elsewhere_keeps_its_scale_and_joins_by_table() -> None:
    w = Weights()
    narrow = w.conv(image(), 6, 4)
    wide = w.conv(narrow, 4, 4)
    mod = emitted(module(relay.concatenate([narrow, wide], 1)), [(-1, 1), (-0.1, 0.1), (-8, 8)])
    (table,) = calls(mod, "take")
    narrow_params, joined = choose_qparams(-0.1, 0.1), choose_qparams(-8, 8)
    source = calls(mod, "qnn.requantize")[0]
    assert scalar(source.args[3]) == narrow_params.scale
    entries = table.args[0].data.numpy()
    for level in (-128, -1, 0, 127):
        real = narrow_params.scale * (level - narrow_params.zero_point)
        assert entries[level & 255] == joined.quantize(np.array(real))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_multipliers_are_short(bits: int) -> None:
    w = Weights()
    x = image()
    y = relay.nn.relu(w.batch_norm(w.conv(x, 6, 6), 6) + x)
    gate = relay.nn.adaptive_avg_pool2d(w.conv(y, 6, 6, groups=6), (1, 1))
    rng = np.random.default_rng(11)
    prepared = simplified(module(y * gate - x))
    ranges = [(-float(a), float(b)) for a, b in rng.uniform(0.01, 9, (8, 2))]
    mod = emitted(prepared, ranges[:7], bits)
    pairs = [
        (scale, scalar(r.args[3]))
        for r in calls(mod, "qnn.requantize")
        for scale in r.args[1].data.numpy().reshape(-1)
    ]
    for name in ("qnn.add", "qnn.subtract"):
        (call,) = calls(mod, name)
        pairs += [(scalar(call.args[i]), scalar(call.args[6])) for i in (2, 4)]
    (product,) = calls(mod, "qnn.mul")
    scale = np.float32(scalar(product.args[2])) * np.float32(scalar(product.args[4]))
    pairs.append((scale, scalar(product.args[6])))
    assert len(pairs) == 6 + 6 + 1 + 4 + 1
    for scale, out in pairs:
        m, shift = fixed_point(float(np.float64(scale) / np.float64(out)))
        assert significant_bits(m) <= bits
        assert 1 <= shift <= 62


def test_multipliers_are_never_wider_than_float32_can_carry() -> None:
    assert [multiplier_bits(width) for width in (8, 16, 31)] == [8, 16, 16]


def test_a_table_holds_the_chain_at_every_level() -> None:
    x = image()
    mod = emitted(module(relay.tanh(x) * x), [(-2, 3), (-1, 3)])
    source, result = choose_qparams(-2, 3), choose_qparams(-1, 3)
    table = calls(mod, "take")[0].args[0].data.numpy()
    for level in range(-128, 128):
        real = source.scale * (level - source.zero_point)
        exact = np.tanh(real) * real / result.scale + result.zero_point
        assert abs(int(table[level & 255]) - min(max(exact, -128), 127)) < 0.501


def test_a_chain_undefined_below_zero_takes_its_value_at_zero() -> None:
    mod = emitted(module(relay.sqrt(image())), [(-0.01, 4), (0, 2)])
    table = calls(mod, "take")[0].args[0].data.numpy()
    zero = choose_qparams(-0.01, 4).zero_point
    assert zero > -128
    assert {int(table[level & 255]) for level in range(-128, zero + 1)} == {-128}


def test_minus_infinity_before_a_max_pool_is_the_smallest_level() -> None:
    x = relay.nn.pad(image(), ((0, 0), (0, 0), (1, 1), (1, 1)), float("-inf"))
    mod = emitted(module(relay.nn.max_pool2d(x, (3, 3))), [(-1, 1)])
    assert scalar(calls(mod, "nn.pad")[0].args[1]) == -128


def test_zero_padding_is_the_zero_point() -> None:
    mod = emitted(module(relay.nn.pad(image(), ((0, 0), (0, 2), (0, 0), (0, 0)))), [(-1, 3)])
    assert scalar(calls(mod, "nn.pad")[0].args[1]) == choose_qparams(-1, 3).zero_point


def test_a_pool_over_a_huge_image_lowers_its_gain() -> None:
    assert [gain_of(area) for area in (49, 32767, 32768, 65536)] == [256, 256, 128, 64]


def test_softmax_stays_float_behind_the_last_layer() -> None:
    x = relay.var("x", shape=(2, 5))
    mod = emitted(module(relay.nn.softmax(relay.nn.dense(x, Weights()(4, 5)))))
    assert operators(mod)[-2:] == ["qnn.dequantize", "nn.softmax"]


def test_an_unknown_operator_stays_float_between_quantized_ones() -> None:
    w = Weights()
    mod = emitted(module(w.conv(relay.nn.lrn(w.conv(image(), 6, 4)), 4, 4)))
    names = operators(mod)
    at = names.index("nn.lrn")
    assert (names[at - 1], names[at + 1]) == ("qnn.dequantize", "qnn.quantize")


def test_integer_inputs_are_left_as_they_are() -> None:
    index = relay.var("index", shape=(3,), dtype="int32")
    x = relay.var("x", shape=(5, 4))
    mod = emitted(module(relay.nn.dense(relay.take(x, index, axis=0), Weights()(4, 4))))
    (take,) = calls(mod, "take")
    assert take.args[1].type_annotation.dtype == "int32"
    assert take.checked_type.dtype == "float32"


def test_a_quantized_module_passes_through_with_its_parameters_bound() -> None:
    x, w = image(), relay.var("w", shape=(4, 6, 1, 1))
    conv = relay.nn.conv2d(x, w, channels=4, kernel_size=(1, 1))
    weight = np.ones((4, 6, 1, 1), np.float32)
    once = quantize(module(conv), {"w": weight}, pictures(module(image())))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        twice = quantize(once)
    assert tvm.ir.structural_equal(once, twice)
    assert [str(p.name_hint) for p in once["main"].params] == ["x"]


def test_the_same_inputs_give_the_same_module() -> None:
    mod = module(relay.nn.relu(Weights().conv(image(), 6, 4)))
    first, second = (quantize(mod, calibration=pictures(mod)) for _ in range(2))
    assert tvm.ir.save_json(first) == tvm.ir.save_json(second)


def test_a_module_without_int8_work_needs_no_calibration() -> None:
    mod = module(relay.nn.softmax(relay.nn.softmax(relay.var("x", shape=(2, 5)))))
    assert operators(quantize(mod)) == ["nn.softmax", "nn.softmax"]


def test_the_pipeline_can_be_printed_and_stopped() -> None:
    assert [step.name for step in PIPELINE][-2:] == ["calibrate", "quantize"]
    assert all(str(step).startswith(step.name + ": ") for step in PIPELINE)
    with pytest.raises(UsageError, match="there is no pass folding; the passes are fold-const"):
        quantize(module(image()), stop_after="folding")


def test_targets_are_zebra_configurations() -> None:
    with pytest.raises(UsageError, match='target llvm is not Zebra; give "zebra"'):
        quantize(module(image()), target="llvm")
    with pytest.raises(ConfigError, match="no configuration is called nowhere"):
        quantize(module(image()), target="zebra/nowhere")
