"""The report: shares, regions, reasons, and its text."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tests.support.relay_oracle import module
from tvm import relay

from zebra.errors import ConfigError, UsageError
from zebra.relay import inspect
from zebra.relay.supported import FLOAT

qnn = relay.qnn.op


def f32(value: float) -> Any:
    return relay.const(value, "float32")


def i32(value: int) -> Any:
    return relay.const(value, "int32")


def network() -> Any:
    x = relay.var("x", shape=(1, 4, 6, 6), dtype="int8")
    weight = relay.const(np.ones((8, 4, 3, 3), "int8"))
    core = qnn.conv2d(x, weight, i32(0), i32(0), f32(1.0), f32(1.0), (3, 3), 8)
    hidden = qnn.requantize(core, f32(0.1), i32(0), f32(1.0), i32(0), out_dtype="int8")
    flat = relay.nn.batch_flatten(hidden)
    dense = qnn.dense(
        flat, relay.const(np.ones((9, 128), "int8")), i32(0), i32(0), f32(1.0), f32(1.0), units=9
    )
    real = qnn.dequantize(dense, f32(1.0), i32(0))
    return relay.nn.softmax(real)


def test_shares_regions_and_reasons() -> None:
    report = inspect(module(network()))
    assert report.macs == 8 * 16 * 36 + 9 * 128
    assert report.mac_share == 8 * 16 * 36 / report.macs
    assert report.regions == 1
    (region,) = report.parts
    assert region.name == "zebra_1"
    assert dict(region.operators) == {
        "nn.batch_flatten": 1, "qnn.conv2d": 1, "qnn.requantize": 1,
    }  # fmt: skip
    assert (region.inputs, region.outputs) == (((1, 4, 6, 6),), ((1, 128),))
    reasons = {op.name: op for op in report.host}
    assert set(reasons) == {"qnn.dense", "qnn.dequantize", "nn.softmax"}
    assert reasons["nn.softmax"].seen == "float32 to float32"
    assert reasons["nn.softmax"].rule.startswith("Float operators run on the host")
    assert reasons["qnn.dequantize"].rule.startswith("Conversions between float and 8 bits")
    assert reasons["qnn.dense"].rule.startswith("Convolution, transposed convolution, dense: ")
    assert reasons["qnn.dense"].seen == "float32, int32, int8 to int32"


def test_text_and_json() -> None:
    report = inspect(module(network()), target="zebra/kv260")
    lines = str(report).splitlines()
    assert lines[0] == "kv260: 1 region, 80.0 % of 5760 multiply-accumulates"
    assert lines[1] == "  zebra_1: 1 nn.batch_flatten, 1 qnn.conv2d, 1 qnn.requantize"
    assert lines[2] == "on the host:"
    assert lines[3].split() == ["operator", "count", "rule", "seen", "limit"]
    assert len(lines) == 7
    data = json.loads(json.dumps(report.to_dict()))
    assert data["mac_share"] == report.mac_share
    assert data["host"][0] == {
        "name": "nn.softmax",
        "count": 1,
        "rule": FLOAT,
        "seen": "float32 to float32",
        "limit": "8 bits in and out",
    }


def test_params_are_bound() -> None:
    x = relay.var("x", shape=(2, 8), dtype="int8")
    w = relay.var("w", shape=(4, 8), dtype="int8")
    core = qnn.dense(x, w, i32(0), i32(0), f32(1.0), f32(1.0), units=4)
    mod = module(qnn.requantize(core, f32(0.1), i32(0), f32(1.0), i32(0), out_dtype="int8"))
    assert inspect(mod).mac_share == 0.0
    bound = inspect(mod, {"w": np.ones((4, 8), "int8")})
    assert bound.mac_share == 1.0
    assert str(bound).splitlines()[-1] == "on the host: nothing"


def test_a_float_network_is_quantized_first() -> None:
    x = relay.var("x", shape=(1, 3, 6, 6), dtype="float32")
    weight = relay.const(np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype("float32"))
    mod = module(relay.nn.relu(relay.nn.conv2d(x, weight)))
    report = inspect(mod)
    assert report.mac_share == 1.0
    assert {op.name for op in report.host} == {"qnn.quantize", "qnn.dequantize"}


def test_unknown_targets() -> None:
    with pytest.raises(UsageError, match="llvm"):
        inspect(module(network()), target="llvm")
    with pytest.raises(ConfigError, match="no configuration is called nowhere"):
        inspect(module(network()), target="zebra/nowhere")
