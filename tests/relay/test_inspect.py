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
from zebra.relay.inspect import HostOp, Region, Report
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
    assert lines[3:6] == [
        "  Float operators run on the host, unless they lie between quantized tensors as",
        "  a table. Limit: 8 bits in and out; seen:",
        "    float32 to float32: 1 nn.softmax",
    ]
    assert "    float32, int32, int8 to int32: 1 qnn.dense" in lines
    assert max(map(len, lines)) <= 80
    data = json.loads(json.dumps(report.to_dict()))
    assert data["mac_share"] == report.mac_share
    assert data["host"][0] == {
        "name": "nn.softmax",
        "count": 1,
        "rule": FLOAT,
        "seen": "float32 to float32",
        "limit": "8 bits in and out",
    }


def test_a_rule_is_printed_once() -> None:
    rule = "The ratio of the scales needs a right shift of 1..62."
    seen = [("a", 2, "shift 63"), ("b", 1, "shift 64"), ("c", 1, "shift 63")]
    host = tuple(HostOp(name, count, rule, what, "1..62") for name, count, what in seen)
    assert str(Report("zebra", (), host, 0)).splitlines()[1:] == [
        "on the host:",
        f"  {rule} Limit: 1..62; seen:",
        "    shift 63: 2 a, 1 c",
        "    shift 64: 1 b",
    ]


def test_long_lists_are_wrapped() -> None:
    operators = {f"operator{number}": number for number in range(20)}
    region = Region("zebra_1", operators, 0, (), ())
    lines = str(Report("zebra", (region,), (), 0)).splitlines()
    assert max(map(len, lines)) <= 80
    assert not any(line[-1].isdigit() and line[-2] == " " for line in lines)
    assert " ".join(" ".join(lines[1:-1]).split()) == "zebra_1: " + ", ".join(
        f"{count} {name}" for name, count in operators.items()
    )


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
