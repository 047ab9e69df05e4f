"""Random small float networks over the operators that promise to run on the accelerator."""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relay

Shape = tuple[int, ...]


class NetworkBuilder:
    """Grows one float32 Relay expression, keeping every value of 4-D shape as an operand."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.values: list[tuple[Any, Shape]] = []
        shape = (self.number(1, 2), self.number(1, 20), self.number(4, 10), self.number(4, 10))
        self.input = relay.var("x", shape=shape)
        self.values.append((self.input, shape))
        self.used: set[int] = set()

    def number(self, low: int, high: int) -> int:
        """A random integer, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def const(self, *shape: int, low: float = -1.0, high: float = 1.0) -> Any:
        """Uniform float32 constant."""
        return relay.const(self.rng.uniform(low, high, shape).astype("float32"))

    def push(self, expr: Any, source: int) -> None:
        """Keep a new value; its shape is inferred."""
        typed = relay.transform.InferTypeLocal(expr)
        self.used.add(source)
        self.values.append((expr, tuple(int(d) for d in typed.shape)))

    def grow(self) -> None:
        """One more random operator on a random 4-D value."""
        makers = (
            self.conv, self.conv, self.grouped, self.depthwise, self.transposed, self.max_pool,
            self.avg_pool, self.global_pool, self.adaptive, self.unary, self.unary, self.binary,
            self.channelwise, self.batch_norm, self.prelu, self.concat, self.split, self.slice,
            self.pad, self.upsample, self.squeeze_excite,
        )  # fmt: skip
        source = self.number(max(0, len(self.values) - 3), len(self.values) - 1)
        x, shape = self.values[source]
        if np.prod(shape) > 6000 or min(shape[2:]) < 1:
            source = 0
            x, shape = self.values[0]
        makers[self.number(0, len(makers) - 1)](x, shape, source)

    def geometry(self, shape: Shape) -> dict[str, Any] | None:
        """Kernel, stride, dilation and asymmetric padding that leave an output."""
        kernel = [self.number(1, 3), self.number(1, 3)]
        strides = [self.number(1, 2), self.number(1, 2)]
        dilation = [self.number(1, 2), self.number(1, 2)]
        padding = [self.number(0, 2) for _ in range(4)]
        for axis in (0, 1):
            reach = (kernel[axis] - 1) * dilation[axis] + 1
            if shape[2 + axis] + padding[axis] + padding[axis + 2] < reach:
                return None
        return {
            "kernel_size": kernel,
            "strides": strides,
            "dilation": dilation,
            "padding": padding,
        }

    def conv(self, x: Any, shape: Shape, source: int) -> None:
        """Convolution with bias, sometimes with an activation behind it."""
        geometry = self.geometry(shape)
        if geometry is None:
            return
        k = self.number(1, 20)
        y = relay.nn.conv2d(x, self.const(k, shape[1], *geometry["kernel_size"]), **geometry)
        y = relay.nn.bias_add(y, self.const(k))
        choices = (lambda v: v, relay.nn.relu, lambda v: relay.clip(v, 0.0, 6.0), relay.sigmoid)
        self.push(choices[self.number(0, 3)](y), source)

    def grouped(self, x: Any, shape: Shape, source: int) -> None:
        """Grouped convolution."""
        geometry = self.geometry(shape)
        groups = [d for d in range(2, shape[1]) if shape[1] % d == 0]
        if geometry is None or not groups:
            return
        group = groups[self.number(0, len(groups) - 1)]
        k = group * self.number(1, 3)
        weight = self.const(k, shape[1] // group, *geometry["kernel_size"])
        self.push(relay.nn.conv2d(x, weight, groups=group, channels=k, **geometry), source)

    def depthwise(self, x: Any, shape: Shape, source: int) -> None:
        """Depthwise convolution, multiplier 1 or 2."""
        geometry = self.geometry(shape)
        if geometry is None or shape[1] == 1:
            return
        k = shape[1] * self.number(1, 2)
        weight = self.const(k, 1, *geometry["kernel_size"])
        y = relay.nn.conv2d(x, weight, groups=shape[1], channels=k, **geometry)
        self.push(relay.nn.bias_add(y, self.const(k)), source)

    def transposed(self, x: Any, shape: Shape, source: int) -> None:
        """Transposed convolution."""
        k, kernel = self.number(1, 12), [self.number(2, 4), self.number(2, 4)]
        strides = [self.number(1, 2), self.number(1, 2)]
        y = relay.nn.conv2d_transpose(
            x, self.const(shape[1], k, *kernel), strides=strides, kernel_size=kernel, channels=k,
            padding=[self.number(0, 1) for _ in range(4)],
            output_padding=[self.number(0, s - 1) for s in strides],
        )  # fmt: skip
        self.push(y, source)

    def max_pool(self, x: Any, shape: Shape, source: int) -> None:
        """Max pooling, sometimes in ceil mode."""
        size = [min(self.number(2, 3), s) for s in shape[2:]]
        y = relay.nn.max_pool2d(
            x, size, [self.number(1, 2)] * 2, padding=[self.number(0, 1)] * 4,
            ceil_mode=bool(self.number(0, 1)),
        )  # fmt: skip
        self.push(y, source)

    def avg_pool(self, x: Any, shape: Shape, source: int) -> None:
        """Average pooling, padding counted or not."""
        size = [min(self.number(2, 3), s) for s in shape[2:]]
        y = relay.nn.avg_pool2d(
            x, size, [self.number(1, 2)] * 2, padding=[self.number(0, 1)] * 4,
            count_include_pad=bool(self.number(0, 1)),
        )  # fmt: skip
        self.push(y, source)

    def global_pool(self, x: Any, shape: Shape, source: int) -> None:
        """Global pooling or mean over the pixels."""
        pools = (
            relay.nn.global_avg_pool2d,
            relay.nn.global_max_pool2d,
            lambda v: relay.mean(v, axis=[2, 3], keepdims=True),
        )
        self.push(pools[self.number(0, 2)](x), source)

    def adaptive(self, x: Any, shape: Shape, source: int) -> None:
        """Adaptive pooling."""
        size = (self.number(1, shape[2]), self.number(1, shape[3]))
        pool = (relay.nn.adaptive_avg_pool2d, relay.nn.adaptive_max_pool2d)[self.number(0, 1)]
        self.push(pool(x, size), source)

    def unary(self, x: Any, shape: Shape, source: int) -> None:
        """A table-driven activation, some spelled out as front ends do."""
        one, half = relay.const(1.0), relay.const(0.5)
        hard = relay.clip(x + relay.const(3.0), 0.0, 6.0) / relay.const(6.0)
        functions = (
            relay.nn.relu, relay.sigmoid, relay.tanh,
            lambda v: relay.exp(relay.clip(v, -6.0, 3.0)),
            lambda v: relay.clip(v, 0.0, 6.0), lambda v: relay.nn.leaky_relu(v, 0.1),
            lambda v: v * relay.sigmoid(v), lambda v: v * hard, lambda v: hard,
            lambda v: v * relay.tanh(relay.log(one + relay.exp(relay.clip(v, -40.0, 40.0)))),
            lambda v: v * (half + half * relay.erf(v * relay.const(0.70710678))),
            lambda v: relay.nn.relu(v) - relay.nn.relu(one - relay.exp(relay.minimum(v, one))),
        )  # fmt: skip
        self.push(functions[self.number(0, len(functions) - 1)](x), source)

    def binary(self, x: Any, shape: Shape, source: int) -> None:
        """Two tensors of one shape."""
        peers = [i for i, (_, other) in enumerate(self.values) if other == shape]
        other = self.values[peers[self.number(0, len(peers) - 1)]][0]
        if self.number(0, 2) == 0:
            other = self.const(*shape)
        function = (relay.add, relay.subtract, relay.multiply)[self.number(0, 2)]
        self.push(function(x, other), source)

    def channelwise(self, x: Any, shape: Shape, source: int) -> None:
        """Per-channel scale or bias with a constant."""
        function = (relay.add, relay.multiply)[self.number(0, 1)]
        self.push(function(x, self.const(shape[1], 1, 1, low=0.5, high=1.5)), source)

    def batch_norm(self, x: Any, shape: Shape, source: int) -> None:
        """Standalone batch normalization."""
        c = shape[1]
        y = relay.nn.batch_norm(
            x, self.const(c, low=0.5), self.const(c), self.const(c), self.const(c, low=0.5)
        )
        self.push(y[0], source)

    def prelu(self, x: Any, shape: Shape, source: int) -> None:
        """PReLU with a slope per channel."""
        self.push(relay.nn.prelu(x, self.const(shape[1], low=0.0)), source)

    def concat(self, x: Any, shape: Shape, source: int) -> None:
        """Concatenation along channels or an image axis."""
        axis = self.number(1, 3)
        fits = [
            value
            for value, other in self.values
            if all(other[i] == shape[i] for i in range(4) if i != axis)
        ]
        y = relay.concatenate([x, fits[self.number(0, len(fits) - 1)]], axis=axis)
        self.push(y, source)

    def split(self, x: Any, shape: Shape, source: int) -> None:
        """Split along the channels; both parts are used."""
        if shape[1] < 2:
            return
        at = self.number(1, shape[1] - 1)
        parts = relay.split(x, [at], axis=1)
        self.push(relay.concatenate([parts[1], parts[0]], axis=1), source)

    def slice(self, x: Any, shape: Shape, source: int) -> None:
        """Strided slice of channels, rows and columns."""
        begin = [0, *(self.number(0, size - 1) for size in shape[1:])]
        end = [shape[0], *(self.number(b + 1, size) for b, size in zip(begin[1:], shape[1:]))]
        strides = [1, 1, self.number(1, 2), self.number(1, 2)]
        self.push(relay.strided_slice(x, begin, end, strides), source)

    def pad(self, x: Any, shape: Shape, source: int) -> None:
        """Zero padding."""
        width = [[0, 0], [0, 0], [self.number(0, 2)] * 2, [self.number(0, 2), self.number(0, 2)]]
        self.push(relay.nn.pad(x, width), source)

    def upsample(self, x: Any, shape: Shape, source: int) -> None:
        """Nearest-neighbour upsampling."""
        y = relay.nn.upsampling(x, self.number(1, 2), self.number(1, 3), method="nearest_neighbor")
        self.push(y, source)

    def squeeze_excite(self, x: Any, shape: Shape, source: int) -> None:
        """A gate per channel."""
        gate = relay.nn.global_avg_pool2d(x)
        gate = relay.nn.conv2d(gate, self.const(shape[1], shape[1], 1, 1), kernel_size=(1, 1))
        self.push(x * relay.sigmoid(gate), source)

    def head(self) -> Any:
        """The values nobody used; the last one sometimes through flatten and dense."""
        loose = [i for i in range(len(self.values)) if i not in self.used] or [-1]
        outputs = [self.values[i][0] for i in loose]
        expr, shape = self.values[loose[-1]]
        if self.number(0, 1):
            count = int(np.prod(shape[1:]))
            flat = relay.nn.batch_flatten(expr)
            units = self.number(1, 12)
            dense = relay.nn.dense(flat, self.const(units, count), units=units)
            outputs[-1] = relay.nn.bias_add(dense, self.const(units))
        return outputs[0] if len(outputs) == 1 else relay.Tuple(outputs)


def random_network(seed: int, size: int = 6) -> tuple[tvm.IRModule, Shape]:
    """A float network of up to ``size`` operators, and its input's shape."""
    builder = NetworkBuilder(seed)
    target = builder.number(2, size)
    while len(builder.values) == 1:
        builder.conv(*builder.values[0], 0)
    while len(builder.values) <= target:
        builder.grow()
    function = relay.Function([builder.input], builder.head())
    module = relay.transform.InferType()(tvm.IRModule.from_expr(function))
    return module, builder.values[0][1]
