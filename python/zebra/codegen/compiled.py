"""What the compiler hands to the artifact and the driver."""

from __future__ import annotations

from dataclasses import dataclass

from zebra.isa.program import Program
from zebra.schedule.fold import NO_FOLD, Fold
from zebra.schedule.scatter import Piece
from zebra.schedule.views import Dims


@dataclass(frozen=True, slots=True)
class InputPort:
    """An input of the program; see docs/architecture.md, "Compiled and Artifact"."""

    name: str
    shape: tuple[int, ...]
    layout: str
    dims: Dims
    address: int
    fold: Fold = NO_FOLD

    @property
    def packed(self) -> Dims:
        """Dimensions of the value as DRAM holds it: ``dims``, folded."""
        return self.fold.folded(self.dims)


@dataclass(frozen=True, slots=True)
class OutputPort:
    """An output of the program: a dense array of ``shape``, scattered from ``pieces``.

    ``addresses`` has the DRAM address of each piece's value.
    """

    name: str
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]
    addresses: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LayerPart:
    """One layer of several that run as one; what a LayerSpan says of a layer, said of it."""

    name: str
    origin: str
    macs: int
    vec_macs: int


@dataclass(frozen=True, slots=True)
class LayerSpan:
    """Instructions [first, last) belong to the layer ``name`` (for people: ``origin``).

    ``macs``: multiply-accumulates of the network's own convolutions and dense layers
    in it, without what the accelerator adds (padding lanes and pixels); ``vec_macs``:
    those of them that VEC does. ``parts`` are the layers of a chain of stripes, which run
    side by side, and ``owners`` the part that each instruction works for, by its number;
    both are empty for a layer that runs alone.
    """

    name: str
    origin: str
    first: int
    last: int
    macs: int
    vec_macs: int
    parts: tuple[LayerPart, ...] = ()
    owners: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Compiled:
    """A verified program with its constants and its ports in calling order."""

    name: str
    program: Program
    constants: bytes
    inputs: tuple[InputPort, ...]
    outputs: tuple[OutputPort, ...]
    layers: tuple[LayerSpan, ...]
