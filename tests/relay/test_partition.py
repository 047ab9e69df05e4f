"""Regions: one for a network of supported operators, convex always, none without compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm
from tests.support.relay_oracle import CONFIG, module, random_inputs, regions, run_llvm
from tvm import relay

from zebra.errors import ModelError
from zebra.relay import partition

qnn = relay.qnn.op
X = relay.var("x", shape=(1, 4, 6, 6), dtype="int8")


def f32(value: float) -> Any:
    return relay.const(value, "float32")


def i32(value: int) -> Any:
    return relay.const(value, "int32")


def conv(x: Any, channels: int = 4) -> Any:
    rng = np.random.default_rng(channels)
    inner = int(relay.transform.InferType()(tvm.IRModule.from_expr(x))["main"].ret_type.shape[1])
    weight = relay.const(rng.integers(-128, 128, (channels, inner, 1, 1)).astype("int8"))
    core = qnn.conv2d(x, weight, i32(3), i32(0), f32(0.1), f32(0.1), (1, 1), channels)
    return qnn.requantize(core, f32(0.004), i32(0), f32(1.0), i32(1), axis=1, out_dtype="int8")


def on_host(x: Any) -> Any:
    """Something the accelerator does not have: a softmax between dequantize and quantize."""
    real = relay.nn.softmax(qnn.dequantize(x, f32(0.1), i32(0)))
    return qnn.quantize(real, f32(0.01), i32(-5))


def inlined(mod: tvm.IRModule) -> tvm.IRModule:
    """The partitioned module as plain Relay: each region in the place of its call."""
    bodies = {v.name_hint: mod[v] for v in mod.get_global_vars() if v.name_hint != "main"}

    class Inline(relay.ExprMutator):
        def visit_call(self, call: Any) -> Any:
            args = [self.visit(arg) for arg in call.args]
            if isinstance(call.op, relay.GlobalVar):
                region = bodies[call.op.name_hint]
                return relay.bind(region.body, dict(zip(region.params, args)))
            return relay.Call(call.op, args, call.attrs, call.type_args)

    return tvm.IRModule.from_expr(Inline().visit(mod["main"]))


def assert_same_results(mod: tvm.IRModule, cut: tvm.IRModule) -> None:
    feed = random_inputs(mod, np.random.default_rng(0))
    for before, after in zip(run_llvm(mod, feed), run_llvm(inlined(cut), feed), strict=True):
        np.testing.assert_array_equal(before, after, strict=True)


def test_a_region_is_a_function_of_the_external_compiler() -> None:
    cut = partition(module(conv(X)), CONFIG)
    (region,) = regions(cut)
    assert str(region.attrs["Compiler"]) == "zebra"
    assert str(region.attrs["global_symbol"]) == "zebra_1"
    assert str(region.attrs["zebra_config"]) == "zebra"
    assert int(region.attrs["Primitive"]) == 1
    assert [str(p.checked_type.dtype) for p in region.params] == ["int8"]
    assert isinstance(cut["main"].body.op, relay.GlobalVar)


def test_moves_and_tuples_do_not_break_a_region() -> None:
    a = conv(relay.nn.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1))), 6)
    left, right = relay.split(a, 2, axis=1)
    joined = relay.concatenate([right, relay.strided_slice(left, [0], [2], [1], axes=[1])], 1)
    shuffled = relay.reshape(joined, (1, 5, 4, 16))
    mod = module(conv(relay.nn.upsampling(shuffled, 2, 2), 3))
    cut = partition(mod, CONFIG)
    assert len(regions(cut)) == 1
    assert_same_results(mod, cut)


def test_the_host_in_between_makes_two_regions() -> None:
    first = conv(X)
    mod = module(qnn.add(conv(on_host(first)), first, *[f32(1.0), i32(0)] * 3))
    cut = partition(mod, CONFIG)
    assert len(regions(cut)) == 2
    assert [len(region.params) for region in regions(cut)] == [1, 2]
    assert_same_results(mod, cut)


def test_a_table_behind_the_host_is_no_region_of_its_own() -> None:
    tail = qnn.requantize(on_host(conv(X)), f32(0.5), i32(0), f32(1.0), i32(3), out_dtype="int8")
    cut = partition(module(tail), CONFIG)
    assert len(regions(cut)) == 1
    alone = qnn.requantize(X, f32(0.5), i32(0), f32(1.0), i32(3), out_dtype="int8")
    assert len(regions(partition(module(alone), CONFIG))) == 1


def test_branches_around_the_host_stay_convex() -> None:
    first = conv(X)
    early, late = conv(first, 5), conv(on_host(first), 5)
    mod = module(qnn.add(early, late, *[f32(1.0), i32(0)] * 3), early)
    cut = partition(mod, CONFIG)
    assert len(regions(cut)) == 2
    assert isinstance(regions(cut)[0].body, relay.Tuple)
    assert_same_results(mod, cut)


def test_the_host_may_read_what_a_group_keeps_inside() -> None:
    core = conv(X).args[0]
    requantized = qnn.requantize(core, f32(0.004), i32(0), f32(1.0), i32(1), out_dtype="int8")
    mod = module(requantized, relay.cast(core, "float32"))
    cut = partition(mod, CONFIG)
    assert len(regions(cut)) == 1
    assert_same_results(mod, cut)


def test_uint8_crosses_the_boundary_as_int8() -> None:
    u = relay.var("u", shape=(1, 3, 6, 6), dtype="uint8")
    pooled = relay.nn.max_pool2d(u, (2, 2))
    mod = module(pooled, on_host(relay.cast(pooled, "int8")))
    cut = partition(mod, CONFIG)
    (region,) = regions(cut)
    types = [*[p.checked_type for p in region.params], *region.ret_type.fields]
    assert {str(kind.dtype) for kind in types} == {"int8"}
    assert_same_results(mod, cut)


@pytest.mark.parametrize(
    "build",
    [
        lambda: relay.reshape(X, (4, 36)),
        lambda: on_host(relay.transpose(X, (0, 2, 3, 1))),
        lambda: relay.concatenate([X, X], 1),
        lambda: relay.cast(X, "uint8"),
        lambda: relay.nn.softmax(relay.cast(X, "float32")),
    ],
    ids=["reshape", "between host operators", "concatenate", "cast", "float"],
)
def test_no_region_without_compute(build: Any) -> None:
    mod = module(build())
    cut = partition(mod, CONFIG)
    assert not regions(cut)
    assert tvm.ir.structural_equal(cut["main"], mod["main"])


def test_the_module_given_is_left_alone() -> None:
    mod = module(conv(X))
    before = mod.astext()
    partition(mod, CONFIG)
    assert mod.astext() == before


def test_control_flow_stays_on_the_host() -> None:
    flag = relay.var("flag", shape=(), dtype="bool")
    a = conv(X)
    mod = module(relay.If(flag, a, relay.nn.relu(a)))
    cut = partition(mod, CONFIG)
    assert not regions(cut)


def test_a_module_without_main_is_refused() -> None:
    mod = tvm.IRModule({relay.GlobalVar("other"): relay.Function([X], X)})
    with pytest.raises(ModelError, match="has no function main"):
        partition(mod, CONFIG)


def test_partition_is_deterministic() -> None:
    texts = set()
    for _ in range(2):
        first = conv(X)
        mod = module(qnn.add(conv(on_host(first)), first, *[f32(1.0), i32(0)] * 3))
        texts.add(partition(mod, CONFIG).astext(show_meta_data=False))
    assert len(texts) == 1
