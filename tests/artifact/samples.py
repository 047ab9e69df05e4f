"""Small artifacts and damaged copies of them."""

from __future__ import annotations

import random
from collections.abc import Iterator

from zebra.artifact import Artifact
from zebra.codegen.compiled import Compiled, LayerSpan, TensorPort
from zebra.hw import find_config
from zebra.isa.codec import encode_program
from zebra.isa.insns import DmaLevel, Engine, Load, Store
from zebra.isa.program import Program, Span


def copy_artifact(config: str = "zebra", name: str = "copy") -> Artifact:
    """A program that copies [1, 3, 1, 2] through ACT; its output is seen as NHWC."""
    hw = find_config(config)
    size = 2 * hw.block
    loops = (DmaLevel(2, hw.block, 1),)
    code = encode_program(
        [
            Load(dram=16, lanes=hw.block, loops=loops, signal=1 << Engine.STORE),
            Store(dram=16 + size, lanes=hw.block, loops=loops, wait=1 << Engine.LOAD),
        ]
    )
    spans = Span(16, size), Span(16 + size, size)
    program = Program(code, 16 + 2 * size, 16, spans[:1], spans[1:])
    return Artifact(
        hw,
        Compiled(
            name,
            program,
            bytes(range(16)),
            (TensorPort("x", (1, 3, 1, 2), "NCHW", (1, 3, 1, 2), 16),),
            (TensorPort("y", (1, 1, 2, 3), "NHWC", (1, 3, 1, 2), 16 + size),),
            (LayerSpan("copy", "nn.identity", 0, 2),),
        ),
    )


def damaged_copies(data: bytes, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """(what was done, bytes) of ``count`` random bit flips, alternating with truncations."""
    rng = random.Random(seed)
    for index in range(count):
        if index % 2:
            size = rng.randrange(len(data))
            yield f"first {size} bytes", data[:size]
            continue
        bit = rng.randrange(8 * len(data))
        broken = bytearray(data)
        broken[bit // 8] ^= 1 << bit % 8
        yield f"bit {bit} flipped", bytes(broken)
