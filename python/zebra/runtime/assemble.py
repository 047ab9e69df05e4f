"""Programs from shapes and addresses, by the native library: words, hazards and tokens.

``zebra.codegen.emitter.Emitter`` does the same in Python and is the definition.
"""

from __future__ import annotations

import ctypes
import struct
from array import array
from collections.abc import Iterable, Sequence
from functools import cache

from zebra.codegen.shapes import Shape
from zebra.errors import EnvironmentMismatchError
from zebra.isa.fields import WORD_BYTES
from zebra.runtime.native import DISTRIBUTION, ERROR_BYTES, STATUS, load_simulator

_FIELD = struct.Struct("<IIQ")
_TOUCH = struct.Struct("<qqHhI")


class Listing(ctypes.Structure):
    """ZebraListing: a program as shapes and addresses. It borrows every array."""

    _fields_ = [
        *(
            (name, ctypes.c_void_p)
            for name in (
                "words",
                "engines",
                "first_field",
                "fields",
                "first_touch",
                "touches",
                "shapes",
                "addresses",
            )
        ),
        ("count", ctypes.c_uint64),
    ]


class ShapeTable:
    """Shapes as the library reads them."""

    def __init__(self) -> None:
        self._words, self._engines = array("B"), array("B")
        self._first_field, self._fields = array("I", [0]), array("B")
        self._first_touch, self._touches = array("I", [0]), array("B")

    def __len__(self) -> int:
        return len(self._engines)

    def extend(self, shapes: Iterable[Shape]) -> None:
        """Take in further shapes, in the order of their numbers."""
        for shape in shapes:
            self._words.frombytes(shape.word.to_bytes(WORD_BYTES, "little"))
            self._engines.append(shape.kind.ENGINE)
            for bit, limit in shape.places:
                self._fields.frombytes(_FIELD.pack(bit, 0, limit))
            self._first_field.append(self._first_field[-1] + len(shape.places))
            for memory, field, start, stop, write in shape.touched:
                self._touches.frombytes(_TOUCH.pack(start, stop, memory, field, write))
            self._first_touch.append(self._first_touch[-1] + len(shape.touched))

    def assemble(self, shapes: Sequence[int], addresses: Sequence[int]) -> bytes:
        """The program of these shapes at these addresses, instruction by instruction.

        EncodingError names the instruction and the address that does not fit.
        """
        numbers, values = array("I", shapes), array("q", addresses)
        listing = Listing(
            *(
                each.buffer_info()[0]
                for each in (
                    self._words,
                    self._engines,
                    self._first_field,
                    self._fields,
                    self._first_touch,
                    self._touches,
                    numbers,
                    values,
                )
            ),
            len(numbers),
        )
        code = ctypes.create_string_buffer(len(numbers) * WORD_BYTES)
        text = ctypes.create_string_buffer(ERROR_BYTES)
        status = _library().zebra_assemble(ctypes.byref(listing), code, text, ERROR_BYTES)
        if status:
            raise STATUS[status](text.value.decode("utf-8", "replace"))
        return code.raw


@cache
def _library() -> ctypes.CDLL:
    library = load_simulator()
    try:
        assemble = library.zebra_assemble
    except AttributeError:
        raise EnvironmentMismatchError(
            f"the native library has no assembler; install the {DISTRIBUTION} package again"
        ) from None
    assemble.argtypes = [
        ctypes.POINTER(Listing),
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    assemble.restype = ctypes.c_int
    return library
