// Generated from zebra/isa/insns.py by tools/generate.py. Do not edit.
// clang-format off
#ifndef ZEBRA_ISA_H_
#define ZEBRA_ISA_H_

#include <cstddef>
#include <cstdint>

namespace zebra {
namespace isa {

constexpr std::size_t kWordBytes = 64;

// The four in-order queues. A token mask has bit ``1 << engine``.
enum class Engine : std::uint8_t {
  LOAD = 0,
  GEMM = 1,
  VEC = 2,
  STORE = 3,
};

// Scratchpads (and DRAM) an instruction can name.
enum class Memory : std::uint8_t {
  ACT = 0,
  WGT = 1,
  ACC = 2,
  PAR = 3,
  TAB = 4,
  DRAM = 5,
};

// What ACCUM does with each ACT element x and accumulator a.
enum class AccumOp : std::uint8_t {
  MAC = 0,
  SUM = 1,
  MAX = 2,
};

// What POST computes from A and B; R(x, g) requantizes with PAR group g.
enum class PostOp : std::uint8_t {
  SCALE = 0,
  ADD = 1,
  SUB = 2,
  MUL = 3,
};

// Bits 0..3 of every instruction.
enum class Opcode : std::uint8_t {
  Load = 1,
  Store = 2,
  Fill = 3,
  Gemm = 4,
  Accum = 5,
  Post = 6,
};

// The bits of one instruction, independent of the host's byte order.
class WordReader {
 public:
  explicit WordReader(const std::uint8_t* bytes) {
    for (std::size_t i = 0; i < kWordBytes; ++i)
      words_[i / 8] |= static_cast<std::uint64_t>(bytes[i]) << (8 * (i % 8));
  }

  // Bits [offset, offset + width), width 1..32, as an unsigned number.
  std::uint32_t get(unsigned offset, unsigned width) const {
    const unsigned at = offset / 64, shift = offset % 64;
    std::uint64_t value = words_[at] >> shift;
    if (shift + width > 64) value |= words_[at + 1] << (64 - shift);
    return static_cast<std::uint32_t>(value & ((std::uint64_t{1} << width) - 1));
  }

  // The same bits as a two's complement number.
  std::int32_t get_signed(unsigned offset, unsigned width) const {
    const std::int64_t value = get(offset, width);
    return static_cast<std::int32_t>(value - ((value >> (width - 1)) << width));
  }

  // Whether every bit from offset upward is 0.
  bool clear_from(unsigned offset) const {
    if (offset % 64 != 0 && words_[offset / 64] >> (offset % 64) != 0) return false;
    for (std::size_t i = (offset + 63) / 64; i < kWordBytes / 8; ++i)
      if (words_[i] != 0) return false;
    return true;
  }

 private:
  std::uint64_t words_[kWordBytes / 8] = {};
};

// The opcode of an instruction's kWordBytes bytes; false if there is no such instruction.
inline bool decode_opcode(const std::uint8_t* bytes, Opcode* out) {
  const unsigned value = bytes[0] & 15u;
  *out = static_cast<Opcode>(value);
  return value == 1 || value == 2 || value == 3 || value == 4 || value == 5 || value == 6;
}

// One loop level of a DRAM transfer.
struct DmaLevel {
  std::uint32_t extent = 1;  // iterations, 1..65536
  std::uint32_t dram = 0;  // DRAM stride in bytes
  std::uint32_t sram = 0;  // scratchpad stride in entries
};

// One loop level of a fill.
struct FillLevel {
  std::uint32_t extent = 1;  // iterations, 1..65536
  std::uint32_t sram = 0;  // ACT stride in vectors
};

// One loop level of a matrix multiplication.
struct GemmLevel {
  std::uint32_t extent = 1;  // iterations, 1..4096
  std::uint32_t act = 0;  // ACT stride in vectors
  std::uint32_t wgt = 0;  // WGT stride in tiles
  std::uint32_t acc = 0;  // ACC stride in vectors
};

// One loop level of a window accumulation.
struct AccumLevel {
  std::uint32_t extent = 1;  // iterations, 1..4096
  std::uint32_t act = 0;  // ACT stride in vectors
  std::uint32_t acc = 0;  // ACC stride in vectors
  std::uint32_t par = 0;  // PAR stride in vectors (MAC only)
};

// One loop level of a post-processing pass.
struct PostLevel {
  std::uint32_t extent = 1;  // iterations, 1..4096
  std::uint32_t dst = 0;  // destination stride in vectors
  std::uint32_t a = 0;  // operand A stride in vectors
  std::uint32_t b = 0;  // operand B stride in vectors
  std::uint32_t par = 0;  // PAR stride in vectors
};

// DRAM -> ACT, WGT, PAR or TAB.
//
// One iteration moves one entry. ACT: lanes [lane, lane + lanes) take bytes at
// dram + k * lane_stride; the other lanes become 0, or keep their value with
// ``merge``. WGT, PAR and TAB move whole contiguous entries (lane = 0, lanes =
// BLOCK, lane_stride = 1, no merge); PAR with ``widen`` reads BLOCK int8 and
// sign-extends them to int32.
struct Load {
  static constexpr Opcode kOpcode = Opcode::Load;
  static constexpr Engine kEngine = Engine::LOAD;
  std::uint32_t wait = 0;  // engines, bit 1 << Engine
  std::uint32_t signal = 0;  // engines, bit 1 << Engine
  Memory memory = Memory::ACT;  // destination memory
  bool merge = false;  // ACT: keep the lanes not loaded
  bool widen = false;  // PAR: int8 in DRAM, int32 on chip
  std::uint32_t dram = 0;  // DRAM address in bytes
  std::uint32_t sram = 0;  // scratchpad address in entries
  std::uint32_t lane = 0;  // first lane
  std::uint32_t lanes = 1;  // number of lanes, 1..128
  std::uint32_t lane_stride = 1;  // bytes between lanes in DRAM
  static constexpr std::size_t kLevels = 4;
  DmaLevel loops[kLevels];  // loop levels, innermost first
};

// ACT -> DRAM: lanes [lane, lane + lanes) go to bytes at dram + k * lane_stride.
struct Store {
  static constexpr Opcode kOpcode = Opcode::Store;
  static constexpr Engine kEngine = Engine::STORE;
  std::uint32_t wait = 0;  // engines, bit 1 << Engine
  std::uint32_t signal = 0;  // engines, bit 1 << Engine
  std::uint32_t dram = 0;  // DRAM address in bytes
  std::uint32_t sram = 0;  // ACT address in vectors
  std::uint32_t lane = 0;  // first lane
  std::uint32_t lanes = 1;  // number of lanes, 1..128
  std::uint32_t lane_stride = 1;  // bytes between lanes in DRAM
  static constexpr std::size_t kLevels = 4;
  DmaLevel loops[kLevels];  // loop levels, innermost first
};

// Write ``value`` to every lane of ACT vectors (padding).
struct Fill {
  static constexpr Opcode kOpcode = Opcode::Fill;
  static constexpr Engine kEngine = Engine::LOAD;
  std::uint32_t wait = 0;  // engines, bit 1 << Engine
  std::uint32_t signal = 0;  // engines, bit 1 << Engine
  std::uint32_t sram = 0;  // ACT address in vectors
  std::int32_t value = 0;  // int8 value
  static constexpr std::size_t kLevels = 4;
  FillLevel loops[kLevels];  // loop levels, innermost first
};

// ACC[acc][o] += sum over i of ACT[act][i] * WGT[wgt][o][i], wrapping int32.
//
// A level whose ``acc`` stride is 0 is a reduction level. With ``overwrite``
// the iterations at which every reduction level's index is 0 write instead of
// adding. Level 0 must not be a reduction level unless its extent is 1.
struct Gemm {
  static constexpr Opcode kOpcode = Opcode::Gemm;
  static constexpr Engine kEngine = Engine::GEMM;
  std::uint32_t wait = 0;  // engines, bit 1 << Engine
  std::uint32_t signal = 0;  // engines, bit 1 << Engine
  bool overwrite = false;  // first visit of an accumulator writes
  std::uint32_t act = 0;  // ACT address in vectors
  std::uint32_t wgt = 0;  // WGT address in tiles
  std::uint32_t acc = 0;  // ACC address in vectors
  static constexpr std::size_t kLevels = 6;
  GemmLevel loops[kLevels];  // loop levels, innermost first
};

// ACC[acc] = op(ACC[acc], ACT[act]) lane by lane, wrapping int32; see AccumOp.
//
// Reduction levels and ``overwrite`` as for GEMM: the first visit writes
// x * PAR[par] (MAC) or x (SUM, MAX). Level 0 must not be a reduction level
// unless its extent is 1.
struct Accum {
  static constexpr Opcode kOpcode = Opcode::Accum;
  static constexpr Engine kEngine = Engine::VEC;
  std::uint32_t wait = 0;  // engines, bit 1 << Engine
  std::uint32_t signal = 0;  // engines, bit 1 << Engine
  AccumOp op = AccumOp::MAC;  // AccumOp
  bool overwrite = false;  // first visit of an accumulator writes
  std::uint32_t act = 0;  // ACT address in vectors
  std::uint32_t acc = 0;  // ACC address in vectors
  std::uint32_t par = 0;  // PAR address in vectors (MAC only)
  static constexpr std::size_t kLevels = 5;
  AccumLevel loops[kLevels];  // loop levels, innermost first
};

// dst = finish(op(A, B)): requantize, add, subtract, multiply, table.
//
// Group g of the parameters is the three PAR vectors bias, multiplier, shift at
// par + 3 * g. All sums and products before R wrap to int32; R is
// numerics.requantize. finish adds ``offset`` (wrapping) and, for an ACT
// destination, clamps to [low, high], looks the byte up in TAB[table] if
// ``lookup``, and writes int8; an ACC destination gets the int32 unclamped.
// Operand A is read from ACT (sign-extended) or ACC, B always from ACT. Where
// group 0 scales a 32-bit value (A in ACC, or the product of MUL wherever A is),
// its multipliers must have at most MULT_WIDTH significant bits unless ``wide``
// is set (two passes). Shifts must be 1..62, multipliers >= 0.
// The destination's bounding interval must not overlap a source's in the same
// memory unless base and all strides are the same (in place).
struct Post {
  static constexpr Opcode kOpcode = Opcode::Post;
  static constexpr Engine kEngine = Engine::VEC;
  std::uint32_t wait = 0;  // engines, bit 1 << Engine
  std::uint32_t signal = 0;  // engines, bit 1 << Engine
  PostOp op = PostOp::SCALE;  // PostOp
  bool truncate = false;  // round toward zero instead of upward
  bool wide = false;  // multipliers of up to 31 bits, two passes
  bool lookup = false;  // apply TAB[table] after the clamp
  Memory dst_memory = Memory::ACT;  // ACT or ACC
  Memory a_memory = Memory::ACC;  // ACT or ACC
  std::uint32_t table = 0;  // table number
  std::int32_t offset = 0;  // added after requantization
  std::int32_t low = -128;  // lower clamp
  std::int32_t high = 127;  // upper clamp
  std::uint32_t dst = 0;  // destination address in vectors
  std::uint32_t a = 0;  // operand A address in vectors
  std::uint32_t b = 0;  // operand B address in vectors (ACT)
  std::uint32_t par = 0;  // PAR address in vectors
  static constexpr std::size_t kLevels = 5;
  PostLevel loops[kLevels];  // loop levels, innermost first
};

// False unless bytes[0 .. 64) are a Load.
inline bool decode(const std::uint8_t* bytes, Load* out) {
  const WordReader word(bytes);
  if (word.get(0, 4) != 1) return false;
  if (!word.clear_from(363)) return false;
  out->wait = word.get(4, 4);
  out->signal = word.get(8, 4);
  if (word.get(12, 3) >= 6) return false;
  out->memory = static_cast<Memory>(word.get(12, 3));
  out->merge = word.get(15, 1) != 0;
  out->widen = word.get(16, 1) != 0;
  out->dram = word.get(17, 32);
  out->sram = word.get(49, 20);
  out->lane = word.get(69, 7);
  out->lanes = word.get(76, 7) + 1;
  out->lane_stride = word.get(83, 24);
  out->loops[0].extent = word.get(107, 16) + 1;
  out->loops[0].dram = word.get(123, 32);
  out->loops[0].sram = word.get(155, 16);
  out->loops[1].extent = word.get(171, 16) + 1;
  out->loops[1].dram = word.get(187, 32);
  out->loops[1].sram = word.get(219, 16);
  out->loops[2].extent = word.get(235, 16) + 1;
  out->loops[2].dram = word.get(251, 32);
  out->loops[2].sram = word.get(283, 16);
  out->loops[3].extent = word.get(299, 16) + 1;
  out->loops[3].dram = word.get(315, 32);
  out->loops[3].sram = word.get(347, 16);
  return true;
}

// False unless bytes[0 .. 64) are a Store.
inline bool decode(const std::uint8_t* bytes, Store* out) {
  const WordReader word(bytes);
  if (word.get(0, 4) != 2) return false;
  if (!word.clear_from(358)) return false;
  out->wait = word.get(4, 4);
  out->signal = word.get(8, 4);
  out->dram = word.get(12, 32);
  out->sram = word.get(44, 20);
  out->lane = word.get(64, 7);
  out->lanes = word.get(71, 7) + 1;
  out->lane_stride = word.get(78, 24);
  out->loops[0].extent = word.get(102, 16) + 1;
  out->loops[0].dram = word.get(118, 32);
  out->loops[0].sram = word.get(150, 16);
  out->loops[1].extent = word.get(166, 16) + 1;
  out->loops[1].dram = word.get(182, 32);
  out->loops[1].sram = word.get(214, 16);
  out->loops[2].extent = word.get(230, 16) + 1;
  out->loops[2].dram = word.get(246, 32);
  out->loops[2].sram = word.get(278, 16);
  out->loops[3].extent = word.get(294, 16) + 1;
  out->loops[3].dram = word.get(310, 32);
  out->loops[3].sram = word.get(342, 16);
  return true;
}

// False unless bytes[0 .. 64) are a Fill.
inline bool decode(const std::uint8_t* bytes, Fill* out) {
  const WordReader word(bytes);
  if (word.get(0, 4) != 3) return false;
  if (!word.clear_from(168)) return false;
  out->wait = word.get(4, 4);
  out->signal = word.get(8, 4);
  out->sram = word.get(12, 20);
  out->value = word.get_signed(32, 8);
  out->loops[0].extent = word.get(40, 16) + 1;
  out->loops[0].sram = word.get(56, 16);
  out->loops[1].extent = word.get(72, 16) + 1;
  out->loops[1].sram = word.get(88, 16);
  out->loops[2].extent = word.get(104, 16) + 1;
  out->loops[2].sram = word.get(120, 16);
  out->loops[3].extent = word.get(136, 16) + 1;
  out->loops[3].sram = word.get(152, 16);
  return true;
}

// False unless bytes[0 .. 64) are a Gemm.
inline bool decode(const std::uint8_t* bytes, Gemm* out) {
  const WordReader word(bytes);
  if (word.get(0, 4) != 4) return false;
  if (!word.clear_from(433)) return false;
  out->wait = word.get(4, 4);
  out->signal = word.get(8, 4);
  out->overwrite = word.get(12, 1) != 0;
  out->act = word.get(13, 20);
  out->wgt = word.get(33, 20);
  out->acc = word.get(53, 20);
  out->loops[0].extent = word.get(73, 12) + 1;
  out->loops[0].act = word.get(85, 16);
  out->loops[0].wgt = word.get(101, 16);
  out->loops[0].acc = word.get(117, 16);
  out->loops[1].extent = word.get(133, 12) + 1;
  out->loops[1].act = word.get(145, 16);
  out->loops[1].wgt = word.get(161, 16);
  out->loops[1].acc = word.get(177, 16);
  out->loops[2].extent = word.get(193, 12) + 1;
  out->loops[2].act = word.get(205, 16);
  out->loops[2].wgt = word.get(221, 16);
  out->loops[2].acc = word.get(237, 16);
  out->loops[3].extent = word.get(253, 12) + 1;
  out->loops[3].act = word.get(265, 16);
  out->loops[3].wgt = word.get(281, 16);
  out->loops[3].acc = word.get(297, 16);
  out->loops[4].extent = word.get(313, 12) + 1;
  out->loops[4].act = word.get(325, 16);
  out->loops[4].wgt = word.get(341, 16);
  out->loops[4].acc = word.get(357, 16);
  out->loops[5].extent = word.get(373, 12) + 1;
  out->loops[5].act = word.get(385, 16);
  out->loops[5].wgt = word.get(401, 16);
  out->loops[5].acc = word.get(417, 16);
  return true;
}

// False unless bytes[0 .. 64) are a Accum.
inline bool decode(const std::uint8_t* bytes, Accum* out) {
  const WordReader word(bytes);
  if (word.get(0, 4) != 5) return false;
  if (!word.clear_from(351)) return false;
  out->wait = word.get(4, 4);
  out->signal = word.get(8, 4);
  if (word.get(12, 2) >= 3) return false;
  out->op = static_cast<AccumOp>(word.get(12, 2));
  out->overwrite = word.get(14, 1) != 0;
  out->act = word.get(15, 20);
  out->acc = word.get(35, 20);
  out->par = word.get(55, 16);
  out->loops[0].extent = word.get(71, 12) + 1;
  out->loops[0].act = word.get(83, 16);
  out->loops[0].acc = word.get(99, 16);
  out->loops[0].par = word.get(115, 12);
  out->loops[1].extent = word.get(127, 12) + 1;
  out->loops[1].act = word.get(139, 16);
  out->loops[1].acc = word.get(155, 16);
  out->loops[1].par = word.get(171, 12);
  out->loops[2].extent = word.get(183, 12) + 1;
  out->loops[2].act = word.get(195, 16);
  out->loops[2].acc = word.get(211, 16);
  out->loops[2].par = word.get(227, 12);
  out->loops[3].extent = word.get(239, 12) + 1;
  out->loops[3].act = word.get(251, 16);
  out->loops[3].acc = word.get(267, 16);
  out->loops[3].par = word.get(283, 12);
  out->loops[4].extent = word.get(295, 12) + 1;
  out->loops[4].act = word.get(307, 16);
  out->loops[4].acc = word.get(323, 16);
  out->loops[4].par = word.get(339, 12);
  return true;
}

// False unless bytes[0 .. 64) are a Post.
inline bool decode(const std::uint8_t* bytes, Post* out) {
  const WordReader word(bytes);
  if (word.get(0, 4) != 6) return false;
  if (!word.clear_from(491)) return false;
  out->wait = word.get(4, 4);
  out->signal = word.get(8, 4);
  out->op = static_cast<PostOp>(word.get(12, 2));
  out->truncate = word.get(14, 1) != 0;
  out->wide = word.get(15, 1) != 0;
  out->lookup = word.get(16, 1) != 0;
  if (word.get(17, 3) >= 6) return false;
  out->dst_memory = static_cast<Memory>(word.get(17, 3));
  if (word.get(20, 3) >= 6) return false;
  out->a_memory = static_cast<Memory>(word.get(20, 3));
  out->table = word.get(23, 6);
  out->offset = word.get_signed(29, 10);
  out->low = word.get_signed(39, 8);
  out->high = word.get_signed(47, 8);
  out->dst = word.get(55, 20);
  out->a = word.get(75, 20);
  out->b = word.get(95, 20);
  out->par = word.get(115, 16);
  out->loops[0].extent = word.get(131, 12) + 1;
  out->loops[0].dst = word.get(143, 16);
  out->loops[0].a = word.get(159, 16);
  out->loops[0].b = word.get(175, 16);
  out->loops[0].par = word.get(191, 12);
  out->loops[1].extent = word.get(203, 12) + 1;
  out->loops[1].dst = word.get(215, 16);
  out->loops[1].a = word.get(231, 16);
  out->loops[1].b = word.get(247, 16);
  out->loops[1].par = word.get(263, 12);
  out->loops[2].extent = word.get(275, 12) + 1;
  out->loops[2].dst = word.get(287, 16);
  out->loops[2].a = word.get(303, 16);
  out->loops[2].b = word.get(319, 16);
  out->loops[2].par = word.get(335, 12);
  out->loops[3].extent = word.get(347, 12) + 1;
  out->loops[3].dst = word.get(359, 16);
  out->loops[3].a = word.get(375, 16);
  out->loops[3].b = word.get(391, 16);
  out->loops[3].par = word.get(407, 12);
  out->loops[4].extent = word.get(419, 12) + 1;
  out->loops[4].dst = word.get(431, 16);
  out->loops[4].a = word.get(447, 16);
  out->loops[4].b = word.get(463, 16);
  out->loops[4].par = word.get(479, 12);
  return true;
}

}  // namespace isa
}  // namespace zebra

#endif  // ZEBRA_ISA_H_
