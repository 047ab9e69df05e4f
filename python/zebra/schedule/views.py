"""Where a value, or a part of one, lies in DRAM."""

from __future__ import annotations

from dataclasses import dataclass, replace

Dims = tuple[int, int, int, int]


def blocks(channels: int, block: int) -> int:
    """Number of channel blocks that hold ``channels`` channels."""
    return -(-channels // block)


@dataclass(frozen=True, slots=True)
class View:
    """A strided window on a DRAM buffer holding int8 [N, C, H, W].

    Element (n, c, h, w) is the byte ``offset + n * strides[0] + q * strides[1] +
    r * lane_stride + h * strides[2] + w * strides[3]`` of ``buffer``, where q, r =
    divmod(c + lane, block). ``lane`` is the first channel's lane in its block.
    ``whole`` says that the view covers its buffer, so that the padding lanes of
    the last block are its own.
    """

    buffer: str
    dims: Dims
    block: int
    strides: Dims
    offset: int = 0
    lane: int = 0
    lane_stride: int = 1
    whole: bool = False

    @classmethod
    def blocked(cls, buffer: str, dims: Dims, block: int) -> View:
        """The whole of a buffer in the accelerator's layout [N][C/B][H][W][B]."""
        _, c, h, w = dims
        plane = h * w * block
        strides = (blocks(c, block) * plane, plane, w * block, block)
        return cls(buffer, dims, block, strides, whole=True)

    @classmethod
    def linear(cls, buffer: str, dims: Dims, block: int) -> View:
        """A buffer that holds the row-major array [N, C, H, W], byte by byte."""
        _, c, h, w = dims
        return cls(buffer, dims, block, (c * h * w, block * h * w, w, 1), lane_stride=h * w)

    @property
    def size(self) -> int:
        """Bytes from the offset to behind the last element (padding lanes included if whole)."""
        n, c, h, w = self.dims
        last = self.lane + c - 1
        lanes = self.block - 1 if self.whole else last % self.block
        extents = (n - 1, last // self.block, h - 1, w - 1)
        reach = sum(extent * stride for extent, stride in zip(extents, self.strides))
        return reach + lanes * self.lane_stride + 1

    @property
    def channel_blocks(self) -> int:
        """Vectors per pixel that hold the channels once they are aligned to lane 0."""
        return blocks(self.dims[1], self.block)

    def part(self, begin: Dims, dims: Dims, step: Dims = (1, 1, 1, 1)) -> View:
        """The sub-view that starts at ``begin`` and takes ``dims`` elements, every ``step``-th.

        The channel step must be 1.
        """
        if begin == (0, 0, 0, 0) and dims == self.dims and step == (1, 1, 1, 1):
            return self
        lead = self.lane + begin[1]
        offset = self.offset + lead // self.block * self.strides[1]
        offset += sum(begin[axis] * self.strides[axis] for axis in (0, 2, 3))
        strides = (
            self.strides[0] * step[0],
            self.strides[1],
            self.strides[2] * step[2],
            self.strides[3] * step[3],
        )
        covers = self.whole and begin[1] == 0 and dims[1] == self.dims[1]
        return replace(
            self,
            dims=dims,
            offset=offset,
            strides=strides,
            lane=lead % self.block,
            whole=covers,
        )

    def broadcast(self, dims: Dims) -> View:
        """The view repeated along the axes where it has one element and ``dims`` has more."""
        if dims == self.dims:
            return self
        n, _, h, w = (0 if have == 1 else stride for have, stride in zip(self.dims, self.strides))
        if self.dims[1] == 1 and dims[1] > 1:
            base = self.offset + self.lane * self.lane_stride
            return replace(
                self, dims=dims, strides=(n, 0, h, w), offset=base, lane=0, lane_stride=0
            )
        return replace(self, dims=dims, strides=(n, self.strides[1], h, w))


@dataclass(frozen=True, slots=True)
class Run:
    """Channel blocks [first, first + count) of a tile that move with the same lanes.

    Lanes [lane, lane + lanes) of each vector correspond to lanes starting at
    ``dram_lane`` of DRAM block ``dram_block`` (of the first vector).
    """

    first: int
    count: int
    lane: int
    lanes: int
    dram_block: int
    dram_lane: int


def channel_runs(view: View, first: int, count: int) -> list[Run]:
    """How channel blocks [first, first + count) of the (aligned) value lie in the view's blocks.

    A view that starts in the middle of a block needs two runs (each vector comes
    from two DRAM blocks), and one whose channels end in the middle of a block has
    a shorter last vector, unless it owns the padding lanes.
    """
    block, lane = view.block, view.lane
    tail = 0 if view.whole else view.dims[1] % block
    ends_here = tail != 0 and first + count == view.channel_blocks
    full = count - 1 if ends_here else count
    runs = _split(first, full, block, lane, block) if full else []
    if ends_here:
        runs += _split(first + full, 1, tail, lane, block)
    return runs


def _split(first: int, count: int, lanes: int, lane: int, block: int) -> list[Run]:
    """Runs of vectors with ``lanes`` valid lanes that start at DRAM lane ``lane``."""
    head = min(lanes, block - lane)
    runs = [Run(first, count, 0, head, first, lane)]
    if head < lanes:
        runs.append(Run(first, count, head, lanes - head, first + 1, 0))
    return runs
