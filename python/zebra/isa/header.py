"""include/zebra/isa.h: the instruction set for C++, generated from the declaration.

``python -m zebra.isa.header`` prints it; tools/generate.py writes it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from inspect import getdoc
from typing import get_args

from zebra.isa.fields import WORD_BYTES, Bits, Levels, bit_fields, layout
from zebra.isa.insns import INSTRUCTIONS, OPCODE_BITS, AccumOp, Engine, Insn, Memory, PostOp

ENUMS: tuple[type[enum.IntEnum], ...] = (Engine, Memory, AccumOp, PostOp)

PREAMBLE = f"""\
// Generated from zebra/isa/insns.py by tools/generate.py. Do not edit.
// clang-format off
#ifndef ZEBRA_ISA_H_
#define ZEBRA_ISA_H_

#include <cstddef>
#include <cstdint>

namespace zebra {{
namespace isa {{

constexpr std::size_t kWordBytes = {WORD_BYTES};
"""

READER = f"""\
// The bits of one instruction, independent of the host's byte order.
class WordReader {{
 public:
  explicit WordReader(const std::uint8_t* bytes) {{
    for (std::size_t i = 0; i < kWordBytes; ++i)
      words_[i / 8] |= static_cast<std::uint64_t>(bytes[i]) << (8 * (i % 8));
  }}

  // Bits [offset, offset + width), width 1..32, as an unsigned number.
  std::uint32_t get(unsigned offset, unsigned width) const {{
    const unsigned at = offset / 64, shift = offset % 64;
    std::uint64_t value = words_[at] >> shift;
    if (shift + width > 64) value |= words_[at + 1] << (64 - shift);
    return static_cast<std::uint32_t>(value & ((std::uint64_t{{1}} << width) - 1));
  }}

  // The same bits as a two's complement number.
  std::int32_t get_signed(unsigned offset, unsigned width) const {{
    const std::int64_t value = get(offset, width);
    return static_cast<std::int32_t>(value - ((value >> (width - 1)) << width));
  }}

  // Whether every bit from offset upward is 0.
  bool clear_from(unsigned offset) const {{
    if (offset % 64 != 0 && words_[offset / 64] >> (offset % 64) != 0) return false;
    for (std::size_t i = (offset + 63) / 64; i < kWordBytes / 8; ++i)
      if (words_[i] != 0) return false;
    return true;
  }}

 private:
  std::uint64_t words_[kWordBytes / 8] = {{}};
}};

// The opcode of an instruction's kWordBytes bytes; false if there is no such instruction.
inline bool decode_opcode(const std::uint8_t* bytes, Opcode* out) {{
  const unsigned value = bytes[0] & {(1 << OPCODE_BITS) - 1}u;
  *out = static_cast<Opcode>(value);
  return {{opcode_test}};
}}
"""


def comment(text: str, indent: str = "") -> list[str]:
    """``text`` as // lines, its own line breaks kept."""
    return [f"{indent}// {line}".rstrip() for line in text.splitlines()]


def level_types() -> dict[str, type]:
    """Every loop-level dataclass by name, in order of first use."""
    found: dict[str, type] = {}
    for cls in INSTRUCTIONS:
        for _, plain, spec in bit_fields(cls):
            if isinstance(spec, Levels):
                level = get_args(plain)[0]
                found[level.__name__] = level
    return found


def _enum_lines(name: str, members: dict[str, int], doc: str) -> Iterator[str]:
    yield from comment(doc)
    yield f"enum class {name} : std::uint8_t {{"
    for member, value in members.items():
        yield f"  {member} = {value},"
    yield "};"
    yield ""


def _c_type(plain: type, bits: Bits) -> str:
    if plain is bool:
        return "bool"
    if issubclass(plain, enum.IntEnum):
        return plain.__name__
    return "std::int32_t" if bits.signed else "std::uint32_t"


def _c_value(plain: type, value: int) -> str:
    if plain is bool:
        return "true" if value else "false"
    if issubclass(plain, enum.IntEnum):
        return f"{plain.__name__}::{plain(value).name}"
    return str(value)


def _member_lines(cls: type) -> Iterator[str]:
    for name, plain, spec in bit_fields(cls):
        if isinstance(spec, Levels):
            level = get_args(plain)[0].__name__
            yield f"  static constexpr std::size_t kLevels = {spec.count};"
            yield f"  {level} {name}[kLevels];  // {spec.doc}, innermost first"
            continue
        default = _c_value(plain, cls.__dataclass_fields__[name].default)  # type: ignore[attr-defined]
        yield f"  {_c_type(plain, spec)} {name} = {default};  // {spec.doc}"


def _struct_lines(cls: type) -> Iterator[str]:
    yield from comment(getdoc(cls) or "")
    yield f"struct {cls.__name__} {{"
    if issubclass(cls, Insn):
        yield f"  static constexpr Opcode kOpcode = Opcode::{cls.__name__};"
        yield f"  static constexpr Engine kEngine = Engine::{cls.ENGINE.name};"
    yield from _member_lines(cls)
    yield "};"
    yield ""


def _decoder_lines(cls: type[Insn]) -> Iterator[str]:
    plains: dict[str | int, type] = {name: plain for name, plain, _ in bit_fields(cls)}
    slots = layout(cls)
    used = OPCODE_BITS + slots[-1].offset + slots[-1].bits.width
    yield f"// False unless bytes[0 .. {WORD_BYTES}) are a {cls.__name__}."
    yield f"inline bool decode(const std::uint8_t* bytes, {cls.__name__}* out) {{"
    yield "  const WordReader word(bytes);"
    yield f"  if (word.get(0, {OPCODE_BITS}) != {cls.OPCODE}) return false;"
    yield f"  if (!word.clear_from({used})) return false;"
    for slot in slots:
        bits, offset = slot.bits, OPCODE_BITS + slot.offset
        plain = plains[slot.path[0]] if len(slot.path) == 1 else int
        target = "out->" + "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in slot.path
        ).removeprefix(".")
        raw = f"word.get{'_signed' if bits.signed else ''}({offset}, {bits.width})"
        if bits.bias:
            raw += f" + {bits.bias}"
        if issubclass(plain, enum.IntEnum):
            if len(plain) < 1 << bits.width:
                yield f"  if ({raw} >= {len(plain)}) return false;"
            raw = f"static_cast<{plain.__name__}>({raw})"
        elif plain is bool:
            raw += " != 0"
        yield f"  {target} = {raw};"
    yield "  return true;"
    yield "}"
    yield ""


def header() -> str:
    """The text of include/zebra/isa.h."""
    lines = [PREAMBLE]
    opcodes = {cls.__name__: cls.OPCODE for cls in INSTRUCTIONS}
    for kind in ENUMS:
        if sorted(kind) != list(range(len(kind))):
            raise TypeError(f"{kind.__name__} must count from 0 without gaps")
        members = {member.name: member.value for member in kind}
        lines += _enum_lines(kind.__name__, members, getdoc(kind) or "")
    lines += _enum_lines("Opcode", opcodes, "Bits 0..3 of every instruction.")
    test = " || ".join(f"value == {value}" for value in opcodes.values())
    lines.append(READER.replace("{opcode_test}", test))
    for cls in (*level_types().values(), *INSTRUCTIONS):
        lines += _struct_lines(cls)
    for cls in INSTRUCTIONS:
        lines += _decoder_lines(cls)
    lines += ["}  // namespace isa", "}  // namespace zebra", "", "#endif  // ZEBRA_ISA_H_"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(header(), end="")
