"""The constant segment of DRAM: packed weights, parameters, tables, tensors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from zebra.graph.nodes import Scale
from zebra.isa.insns import PostOp
from zebra.numerics import significant_bits, wrap32
from zebra.schedule.workloads import input_block_range

ALIGNMENT = 64


class ConstantPool:
    """Byte blobs at aligned addresses; equal blobs are stored once."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._known: dict[bytes, int] = {}

    def add(self, data: npt.NDArray[np.generic]) -> int:
        """Store an array's little-endian bytes; its DRAM address."""
        blob = np.ascontiguousarray(data).tobytes()
        address = self._known.get(blob)
        if address is None:
            address = self._known[blob] = self._size
            padding = -len(blob) % ALIGNMENT
            self._parts.append(blob + bytes(padding))
            self._size += len(blob) + padding
        return address

    def to_bytes(self) -> bytes:
        """Everything stored so far."""
        return b"".join(self._parts)


def pack_activation(data: npt.NDArray[np.int8], block: int) -> npt.NDArray[np.int8]:
    """[N, C, H, W] -> [N, ceil(C / block), H, W, block], padding lanes zero."""
    n, c, h, w = data.shape
    padded = np.zeros((n, -(-c // block) * block, h, w), np.int8)
    padded[:, :c] = data
    return padded.reshape(n, -1, block, h, w).transpose(0, 1, 3, 4, 2)


def pack_weights(
    weight: npt.NDArray[np.int8], groups: int, block: int, in_blocks: int
) -> npt.NDArray[np.int8]:
    """[K, C / groups, KH, KW] -> [K blocks][in_blocks][KH][KW][out lane][in lane].

    The input blocks of output block o are those from input_block_range(o, ...) on;
    where no weight connects two channels the tile holds zero.
    """
    k, per_in, kh, kw = weight.shape
    out_blocks = -(-k // block)
    tiles = np.zeros((out_blocks * block, in_blocks * block, kh, kw), np.int8)
    per_out = k // groups
    for group in range(groups):
        outs = np.arange(group * per_out, (group + 1) * per_out)
        for out_block in np.unique(outs // block):
            rows = outs[outs // block == out_block]
            first, _ = input_block_range(int(out_block), k, per_in * groups, groups, block)
            start = group * per_in - first * block
            tiles[rows, start : start + per_in] = weight[rows]
    shaped = tiles.reshape(out_blocks, block, in_blocks, block, kh, kw)
    return shaped.transpose(0, 2, 4, 5, 1, 3)


def pack_taps(taps: npt.NDArray[np.int32], block: int) -> npt.NDArray[np.int32]:
    """[C, KH, KW] -> [C blocks][KH][KW][lane]."""
    c, kh, kw = taps.shape
    padded = np.zeros((-(-c // block) * block, kh, kw), np.int32)
    padded[:c] = taps
    return padded.reshape(-1, block, kh, kw).transpose(0, 2, 3, 1)


def pack_diagonal(taps: npt.NDArray[np.int32], block: int) -> npt.NDArray[np.int8]:
    """[C, KH, KW] -> weight tiles [C blocks][KH][KW][lane][lane], each tap on its diagonal."""
    packed = pack_taps(taps, block).astype(np.int8)
    tiles = np.zeros((*packed.shape, block), np.int8)
    lanes = np.arange(block)
    tiles[..., lanes, lanes] = packed
    return tiles


def pack_parameters(groups: list[Scale], channels: int, block: int) -> npt.NDArray[np.int32]:
    """PAR vectors [C blocks or 1][3 * groups][lane]: bias, multiplier, shift of each Scale.

    One block serves all channels where every Scale is per tensor. Padding lanes
    hold multiplier 0 and shift 1.
    """
    per_channel = any(
        array.size > 1 for scale in groups for array in (scale.bias, scale.multiplier, scale.shift)
    )
    count = -(-channels // block) if per_channel else 1
    valid = channels if per_channel else block
    packed = np.zeros((count, 3 * len(groups), block), np.int32)
    packed[:, 2::3] = 1
    for index, scale in enumerate(groups):
        for row, array in enumerate((scale.bias, scale.multiplier, scale.shift)):
            lanes = packed[:, 3 * index + row].copy().reshape(-1)
            lanes[:valid] = np.broadcast_to(wrap32(array), valid)
            packed[:, 3 * index + row] = lanes.reshape(count, block)
    return packed


def needs_wide(packed: npt.NDArray[np.int32], mult_width: int) -> bool:
    """Whether a multiplier of group 0 has more significant bits than one pass takes."""
    return any(significant_bits(int(m)) > mult_width for m in np.unique(packed[:, 1]))


PARAMETER_GROUPS = {PostOp.SCALE: 1, PostOp.ADD: 2, PostOp.SUB: 2, PostOp.MUL: 2}
"""How many Scales each POST operation's parameter block holds."""
