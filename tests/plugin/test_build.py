"""relay.build and relay.vm.compile for zebra targets, against plain llvm (promise P1)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm
from tvm import relay
from tvm.contrib import graph_executor

import zebra

SHAPE = (1, 3, 12, 12)


def random_input(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


def float_network() -> tuple[tvm.IRModule, dict[str, Any]]:
    """Convolution, pooling, a residual convolution, a global pool and a dense layer."""
    rng = np.random.default_rng(0)
    params: dict[str, Any] = {}

    def weight(*shape: int) -> Any:
        name = f"w{len(params)}"
        scale = (2 / np.prod(shape[1:])) ** 0.5
        params[name] = tvm.nd.array((scale * rng.standard_normal(shape)).astype(np.float32))
        return relay.var(name, shape=shape)

    def conv(value: Any, inputs: int, outputs: int) -> Any:
        kernel = weight(outputs, inputs, 3, 3)
        return relay.nn.relu(relay.nn.conv2d(value, kernel, padding=(1, 1)))

    x = relay.var("x", shape=SHAPE)
    y = relay.nn.max_pool2d(conv(x, 3, 8), (2, 2), (2, 2))
    y = relay.nn.batch_flatten(relay.nn.global_avg_pool2d(y + conv(y, 8, 8)))
    y = relay.nn.dense(y, weight(5, 8))
    return tvm.IRModule.from_expr(relay.Function(relay.analysis.free_vars(y), y)), params


@pytest.fixture(scope="module")
def quantized() -> tvm.IRModule:
    mod, params = float_network()
    return zebra.quantize(mod, params, calibration=[random_input(seed) for seed in range(2)])


@pytest.fixture(scope="module")
def oracle(quantized: tvm.IRModule) -> np.ndarray:
    with zebra.exact_reference():
        return run_graph(relay.build(quantized, target="llvm"))


def run_graph(library: Any, seed: int = 9) -> np.ndarray:
    executor = graph_executor.GraphModule(library["default"](zebra.device()))
    executor.set_input("x", random_input(seed))
    executor.run()
    return executor.get_output(0).numpy()


@pytest.mark.parametrize("target", ["zebra", "zebra/pynq", "zebra/u250"])
def test_a_quantized_network_is_exact(
    quantized: tvm.IRModule, oracle: np.ndarray, target: str
) -> None:
    library = relay.build(quantized, target=target)
    np.testing.assert_array_equal(run_graph(library), oracle)
    (region,) = zebra.find_regions(library)
    assert region.counters()["macs"] > 3 * 8 * 9 * 12 * 12
    assert tvm.target.Target(target).attrs["model"] == region.artifact().config.name


def test_the_virtual_machine_is_exact(quantized: tvm.IRModule, oracle: np.ndarray) -> None:
    executable = relay.vm.compile(quantized, target="zebra")
    machine = tvm.runtime.vm.VirtualMachine(executable, zebra.device())
    result = machine.invoke("main", tvm.nd.array(random_input(9)))
    np.testing.assert_array_equal(result.numpy(), oracle)
    assert len(zebra.find_regions(executable)) == 1


def test_a_float_network_is_calibrated_quantized_and_accelerated(oracle: np.ndarray) -> None:
    mod, params = float_network()
    text = mod.astext()
    with zebra.calibrate([random_input(seed) for seed in range(2)]):
        library = relay.build(mod, target="zebra", params=params)
    np.testing.assert_array_equal(run_graph(library), oracle)
    assert mod.astext() == text
    assert len(zebra.find_regions(library)) == 1


def test_parameters_reach_the_virtual_machine(oracle: np.ndarray) -> None:
    mod, params = float_network()
    with zebra.calibrate([random_input(seed) for seed in range(2)]):
        executable = relay.vm.compile(mod, target="zebra", params=params)
    machine = tvm.runtime.vm.VirtualMachine(executable, zebra.device())
    result = machine.invoke("main", tvm.nd.array(random_input(9)))
    np.testing.assert_array_equal(result.numpy(), oracle)


def test_building_again_gives_the_same_artifact(quantized: tvm.IRModule) -> None:
    first, second = (
        zebra.find_regions(relay.build(quantized, target="zebra"))[0].artifact().to_bytes()
        for _ in range(2)
    )
    assert first == second


def test_a_partitioned_module_is_built_as_it_is(
    quantized: tvm.IRModule, oracle: np.ndarray
) -> None:
    from zebra.hw import find_config
    from zebra.relay import partition

    config = find_config("zebra")
    library = relay.build(partition(quantized, config), target="zebra")
    np.testing.assert_array_equal(run_graph(library), oracle)


def test_a_bilinear_resize_stays_on_the_host_and_compiles() -> None:
    rng = np.random.default_rng(3)
    kernel = relay.const(rng.standard_normal((4, 3, 3, 3)).astype(np.float32))
    x = relay.var("x", shape=SHAPE)
    y = relay.image.resize2d(relay.nn.conv2d(x, kernel), (20, 20), method="linear")
    mod = tvm.IRModule.from_expr(relay.Function([x], y))
    with zebra.calibrate([random_input(seed) for seed in range(2)]):
        out = run_graph(relay.build(mod, target="zebra"))
    assert out.shape == (1, 4, 20, 20)
    assert np.isfinite(out).all()
    assert out.std() > 1
    hosts = {op.name for op in zebra.inspect(mod, target="zebra").host}
    assert "image.resize2d" in hosts


def test_simulated_quantization_runs_on_the_accelerator() -> None:
    """ONNX QDQ form: float convolutions between dequantize and quantize."""
    rng = np.random.default_rng(0)
    x = relay.var("x", shape=(1, 4, 6, 6), dtype="float32")
    scale, zero = relay.const(0.05), relay.const(0, "int32")

    def fake(value: Any) -> Any:
        return relay.qnn.op.dequantize(relay.qnn.op.quantize(value, scale, zero), scale, zero)

    weight = relay.const(rng.integers(-128, 128, (8, 4, 3, 3)).astype("int8"))
    kernel = relay.qnn.op.dequantize(weight, relay.const(0.01), zero)
    conv = fake(relay.nn.conv2d(fake(x), kernel, channels=8, kernel_size=(3, 3)))
    mod = tvm.IRModule.from_expr(relay.Function([x], conv))
    with tvm.transform.PassContext(opt_level=3):
        library = relay.build(mod, target="zebra")
    assert "zebra" in [module.type_key for module in library.get_lib().imported_modules]
