"""Random small Graphs over every node kind, and small configurations to compile them for."""

from __future__ import annotations

import numpy as np

from zebra.graph import nodes as g
from zebra.hw import HwConfig

BASE = {
    "LOG_INP_WIDTH": 3,
    "LOG_WGT_WIDTH": 3,
    "LOG_ACC_WIDTH": 5,
    "CLOCK_MHZ": 100,
    "DRAM_BYTES_PER_CYCLE": 8,
    "DRAM_LATENCY": 40,
}


def random_config(rng: np.random.Generator) -> HwConfig:
    """A legal configuration, often with scratchpads of a few KiB or less."""
    block = int(rng.integers(2, 6))
    values = {
        "LOG_BATCH": int(rng.integers(0, 4)),
        "LOG_BLOCK": block,
        "LOG_ACT_BUFF_SIZE": int(rng.integers(max(8, block + 5), 15)),
        "LOG_WGT_BUFF_SIZE": int(rng.integers(max(8, 2 * block), 16)),
        "LOG_ACC_BUFF_SIZE": int(rng.integers(max(8, block + 3), 15)),
        "LOG_PAR_BUFF_SIZE": int(rng.integers(max(8, block + 6), 14)),
        "LOG_TAB_BUFF_SIZE": int(rng.integers(8, 12)),
        "MULT_WIDTH": int(rng.integers(8, 32)),
    }
    return HwConfig.from_mapping("random", {**BASE, **values})


def config_of(block_log: int, rows_log: int = 0, **changes: int) -> HwConfig:
    """A configuration with blocks of 2**block_log lanes and small memories."""
    sizes = {
        "LOG_BATCH": rows_log,
        "LOG_BLOCK": block_log,
        "LOG_ACT_BUFF_SIZE": 13,
        "LOG_WGT_BUFF_SIZE": 14,
        "LOG_ACC_BUFF_SIZE": 13,
        "LOG_PAR_BUFF_SIZE": 12,
        "LOG_TAB_BUFF_SIZE": 8,
    }
    return HwConfig.from_mapping("small", {**BASE, **sizes, **changes})


class GraphBuilder:
    """Grows a random Graph node by node; every value stays available as an operand."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[g.Node] = []
        shape = (self.number(1, 2), self.number(1, 24), self.number(1, 11), self.number(1, 11))
        self.nodes.append(g.Input("x0", (), shape))

    def number(self, low: int, high: int) -> int:
        """A random integer, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def array(self, shape: tuple[int, ...], low: int = -128, high: int = 127) -> np.ndarray:
        """Random int8 values."""
        return self.rng.integers(low, high + 1, shape).astype(np.int8)

    def scale(self, channels: int) -> g.Scale:
        """Multipliers of any significance; shifts that keep most results in range."""
        keep = self.number(0, 24)
        m = self.rng.integers(1 << 30, 1 << 31, channels, dtype=np.int64) >> keep << keep
        shift = self.rng.integers(34, 41, channels)
        bias = self.rng.integers(-2000, 2000, channels)
        return g.Scale(m.astype(np.int32), shift.astype(np.int32), bias.astype(np.int32))

    def finish(self) -> g.Finish:
        """Zero point, clamp and sometimes a table."""
        low, high = sorted((self.number(-128, 127), self.number(-128, 127)))
        if high - low < 50:
            low, high = -128, 127
        table = self.array((256,)) if self.number(0, 2) == 0 else None
        return g.Finish(self.number(-128, 127), low, high, table)

    def add(self, node: g.Node) -> None:
        """Append a node."""
        self.nodes.append(node)

    def grow(self) -> None:
        """One more random node on a random value."""
        makers = (
            self.conv, self.conv, self.depthwise, self.transpose, self.pool, self.pool,
            self.binary, self.table, self.concat, self.slice, self.pad, self.upsample,
            self.relayout, self.separable, self.residual,
        )  # fmt: skip
        x = self.nodes[self.number(0, len(self.nodes) - 1)]
        if np.prod(x.shape) > 20000:
            x = self.nodes[0]
        makers[self.number(0, len(makers) - 1)](f"v{len(self.nodes)}", x)

    def window(self, x: g.Node) -> tuple[tuple[int, int], ...] | None:
        """(kernel, stride, dilation, begin pads, end pads, output size), or None if empty."""
        kernel = (self.number(1, 4), self.number(1, 4))
        stride = (self.number(1, 3), self.number(1, 3))
        dilation = (self.number(1, 2), self.number(1, 2))
        begin = (self.number(0, 2), self.number(0, 2))
        end = (self.number(0, 2), self.number(0, 2))
        out = tuple(
            (x.shape[2 + a] + begin[a] + end[a] - (kernel[a] - 1) * dilation[a] - 1) // stride[a]
            + 1
            for a in (0, 1)
        )
        return None if min(out) < 1 else (kernel, stride, dilation, begin, end, out)

    def conv(self, name: str, x: g.Node) -> None:
        """Convolution, grouped or not, sometimes with nine-bit weights."""
        window = self.window(x)
        if window is None:
            return
        kernel, stride, dilation, begin, end, out = window
        channels = x.shape[1]
        groups = self.rng.choice([d for d in range(1, channels + 1) if channels % d == 0])
        groups = int(groups) if self.number(0, 2) == 0 else 1
        k = groups * self.number(1, max(1, 24 // groups))
        weight = self.array((k, channels // groups, *kernel)).astype(np.int16)
        if self.number(0, 4) == 0:
            weight = (weight * 2).astype(np.int16)
        self.add(
            g.Conv2d(
                name, (x.name,), (x.shape[0], k, *out), weight, self.scale(k), self.finish(),
                stride, dilation, (*begin, *end), self.number(-128, 127), groups,
            )
        )  # fmt: skip

    def depthwise(self, name: str, x: g.Node) -> None:
        """Depthwise convolution."""
        window = self.window(x)
        if window is None:
            return
        kernel, stride, dilation, begin, end, out = window
        c = x.shape[1]
        weight = self.array((c, 1, *kernel)).astype(np.int16)
        self.add(
            g.Conv2d(
                name, (x.name,), (x.shape[0], c, *out), weight, self.scale(c), self.finish(),
                stride, dilation, (*begin, *end), self.number(-128, 127), c,
            )
        )  # fmt: skip

    def transpose(self, name: str, x: g.Node) -> None:
        """Transposed convolution."""
        kernel = (self.number(1, 4), self.number(1, 4))
        stride = (self.number(1, 3), self.number(1, 3))
        pads = (self.number(0, kernel[0] - 1), self.number(0, kernel[1] - 1), 0, 0)
        extra = (self.number(0, stride[0] - 1), self.number(0, stride[1] - 1))
        out = tuple(
            (x.shape[2 + a] - 1) * stride[a] + kernel[a] - pads[a] + extra[a] for a in (0, 1)
        )
        k = self.number(1, 20)
        weight = self.array((k, x.shape[1], *kernel)).astype(np.int16)
        self.add(
            g.ConvTranspose2d(
                name, (x.name,), (x.shape[0], k, *out), weight, self.scale(k), self.finish(),
                stride, pads, 1, self.number(-128, 127),
            )
        )  # fmt: skip

    def pool(self, name: str, x: g.Node) -> None:
        """Max or average pooling over arbitrary, regular or global windows."""
        axes = []
        for size in x.shape[2:]:
            if self.number(0, 3) == 0:
                axes.append(((0, size),))
                continue
            length, stride = self.number(1, 3), self.number(1, 2)
            pad = self.number(0, length - 1)
            axes.append(tuple((start, length) for start in range(-pad, size - length + 1, stride)))
            if not axes[-1]:
                axes[-1] = ((0, size),)
        kind = g.PoolKind.MAX if self.number(0, 1) else g.PoolKind.AVERAGE
        average = kind is g.PoolKind.AVERAGE
        area = max(length for _, length in axes[0]) * max(length for _, length in axes[1])
        shape = (*x.shape[:2], len(axes[0]), len(axes[1]))
        self.add(
            g.Pool(
                name, (x.name,), shape, kind, axes[0], axes[1], self.finish(),
                self.scale(1) if average and self.number(0, 1) else None,
                int(self.rng.choice([1, 256])) if average else 1,
                area if average and self.number(0, 1) else None,
                self.number(-128, 127) if average else 0,
            )
        )  # fmt: skip

    def binary(self, name: str, x: g.Node) -> None:
        """Add, subtract or multiply with a like-shaped value, a constant or a broadcast one."""
        shape = tuple(1 if size > 1 and self.number(0, 3) == 0 else size for size in x.shape)
        peers = [node for node in self.nodes if node.shape in (x.shape, shape)]
        if self.number(0, 1) or not peers:
            other: g.Node = g.Constant(f"{name}.c", (), shape, self.array(shape))
            self.add(other)
        else:
            other = peers[self.number(0, len(peers) - 1)]
        operands = (x.name, other.name) if self.number(0, 1) else (other.name, x.name)
        kind = list(g.BinaryKind)[self.number(0, 2)]
        c = x.shape[1] if self.number(0, 1) else 1
        self.add(
            g.Binary(
                name, operands, x.shape, kind, self.scale(c), self.scale(c), self.finish()
            )
        )  # fmt: skip

    def table(self, name: str, x: g.Node) -> None:
        """Any unary function."""
        self.add(g.Table(name, (x.name,), x.shape, self.array((256,))))

    def concat(self, name: str, x: g.Node) -> None:
        """Two or three values along one axis."""
        axis = self.number(0, 3)
        fits = [
            node
            for node in self.nodes
            if all(node.shape[i] == x.shape[i] for i in range(4) if i != axis)
            and not isinstance(node, g.Constant)
        ] or [x]
        picks = [x, *(fits[self.number(0, len(fits) - 1)] for _ in range(self.number(1, 2)))]
        shape = list(x.shape)
        shape[axis] = sum(node.shape[axis] for node in picks)
        self.add(g.Concat(name, tuple(node.name for node in picks), tuple(shape), axis))

    def slice(self, name: str, x: g.Node) -> None:
        """A strided slice; channels with stride 1."""
        begin = tuple(self.number(0, size - 1) for size in x.shape)
        stride = (self.number(1, 2), 1, self.number(1, 3), self.number(1, 3))
        shape = tuple(
            self.number(1, (size - start - 1) // step + 1)
            for size, start, step in zip(x.shape, begin, stride)
        )
        self.add(g.Slice(name, (x.name,), shape, begin, stride))

    def pad(self, name: str, x: g.Node) -> None:
        """Constant padding of channels, rows and columns."""
        before = (0, self.number(0, 9), self.number(0, 2), self.number(0, 2))
        after = (0, self.number(0, 9), self.number(0, 2), self.number(0, 2))
        shape = tuple(size + b + a for size, b, a in zip(x.shape, before, after))
        self.add(g.Pad(name, (x.name,), shape, before, self.number(-128, 127)))

    def upsample(self, name: str, x: g.Node) -> None:
        """Nearest-neighbour upsampling."""
        factor = (self.number(1, 3), self.number(1, 3))
        shape = (*x.shape[:2], x.shape[2] * factor[0], x.shape[3] * factor[1])
        self.add(g.Upsample(name, (x.name,), shape, factor))

    def relayout(self, name: str, x: g.Node) -> None:
        """Transpose, then reshape."""
        permutation = tuple(int(axis) for axis in self.rng.permutation(4))
        moved = [x.shape[axis] for axis in permutation]
        if self.number(0, 1):
            moved = [moved[0], moved[1] * moved[2] * moved[3], 1, 1]
        self.add(g.Relayout(name, (x.name,), tuple(moved), x.shape, permutation))

    def pointwise(self, name: str, x: g.Node, k: int) -> g.Conv2d:
        """A 1x1 convolution to ``k`` channels."""
        weight = self.array((k, x.shape[1], 1, 1)).astype(np.int16)
        shape = (x.shape[0], k, *x.shape[2:])
        return g.Conv2d(name, (x.name,), shape, weight, self.scale(k), self.finish())

    def separable(self, name: str, x: g.Node) -> None:
        """A VEC operator, at times behind a convolution, and the 1x1 convolution that reads it."""
        if self.number(0, 1):
            count = len(self.nodes)
            self.conv(f"{name}.first", x)
            x = self.nodes[-1] if len(self.nodes) > count else x
        count = len(self.nodes)
        (self.depthwise, self.binary, self.table, self.pool)[self.number(0, 3)](name, x)
        if len(self.nodes) > count:
            last = self.nodes[-1]
            self.add(self.pointwise(f"{name}.pw", last, self.number(1, 40)))

    def residual(self, name: str, x: g.Node) -> None:
        """A convolution and its combination with a value of the same shape."""
        middle = x
        if self.number(0, 1):
            count = len(self.nodes)
            self.separable(f"{name}.m", x)
            middle = self.nodes[-1] if len(self.nodes) > count else x
        if middle.shape[2:] != x.shape[2:]:
            middle = x
        conv = self.pointwise(f"{name}.c", middle, x.shape[1])
        self.add(conv)
        kind = list(g.BinaryKind)[self.number(0, 2)]
        operands = (x.name, conv.name) if self.number(0, 1) else (conv.name, x.name)
        scales = self.scale(1), self.scale(1)
        self.add(g.Binary(name, operands, x.shape, kind, *scales, self.finish()))


def random_graph(seed: int, size: int = 5) -> g.Graph:
    """A Graph of about ``size`` operators; every value nobody reads is an output."""
    builder = GraphBuilder(seed)
    while len(builder.nodes) < 2 or builder.number(1, size) > 1:
        builder.grow()
    read = {name for node in builder.nodes for name in node.inputs}
    outputs = [node for node in builder.nodes if node.name not in read]
    return g.Graph(
        f"random{seed}",
        tuple(builder.nodes),
        (g.Port("x0", builder.nodes[0].shape),),
        tuple(g.Port(node.name, node.shape) for node in outputs),
    )
