#include "fsim/insn.h"
#include "fsim/nest.h"

namespace zebra::fsim {
namespace {

using isa::Memory;
using isa::PostOp;

constexpr std::uint64_t kShareLanes = 1 << 13;
constexpr std::int32_t kMaxShift = 62;

// Strides and offsets, in elements.
enum : std::size_t { kDst, kA, kB, kPar };
using Offsets = Nest<4>::Offsets;

// PAR vectors read from `par` on.
std::uint64_t parameter_vectors(PostOp op) {
  if (op == PostOp::SCALE) return 3;
  return op == PostOp::MUL ? 4 : 6;
}

bool overlaps(const Footprint& a, const Footprint& b) {
  return a.first() <= b.last() && b.first() <= a.last();
}

void check_apart(const Site& site, const isa::Post& insn, const char* name, std::uint32_t base,
                 std::uint32_t isa::PostLevel::* stride) {
  bool in_place = base == insn.dst;
  for (const isa::PostLevel& level : insn.loops) in_place = in_place && level.*stride == level.dst;
  const Footprint source = footprint_of(base, insn.loops, stride);
  const Footprint target = footprint_of(insn.dst, insn.loops, &isa::PostLevel::dst);
  if (!in_place && overlaps(source, target))
    refuse(site, Status::kOperandError, "dst: ", name_of(insn.dst_memory), " vectors ",
           target.first(), "..", target.last(), " overlaps ", name, ": ", name_of(insn.dst_memory),
           " vectors ", source.first(), "..", source.last(),
           "; keep them apart or give both the same nest");
}

// Bits from the highest to the lowest set bit of m >= 0.
unsigned significant_bits(std::int32_t m) {
  const auto bits = static_cast<std::uint32_t>(m);
  return bits == 0 ? 0 : 32 - __builtin_clz(bits) - __builtin_ctz(bits);
}

// One vector of multipliers and its vector of shifts. `width` is what multipliers may have.
void check_group(const Site& site, const std::int32_t* multipliers, std::uint32_t block,
                 unsigned group, unsigned width) {
  const std::int32_t* shifts = multipliers + block;
  const auto complain = [&](const char* what, std::uint32_t lane, std::int32_t value,
                            const std::string& problem) {
    refuse(site, Status::kOperandError, what, " of group ", group, ", lane ", lane, ", = ", value,
           " ", problem);
  };
  for (std::uint32_t lane = 0; lane < block; ++lane) {
    const std::int32_t m = multipliers[lane], s = shifts[lane];
    if (m < 0) complain("multiplier", lane, m, "must not be negative");
    if (s < 1 || s > kMaxShift) complain("shift", lane, s, "must be 1..62");
    if (significant_bits(m) > width)
      complain(
          "multiplier", lane, m,
          "has more than MULT_WIDTH = " + std::to_string(width) + " significant bits; set wide");
  }
}

PostMode mode_of(const isa::Post& insn, const Machine& machine) {
  PostMode mode = {};
  mode.op = insn.op;
  mode.truncate = insn.truncate;
  mode.offset = insn.offset;
  mode.low = insn.low;
  mode.high = insn.high;
  mode.table = insn.lookup ? machine.tab.data() + insn.table * 256 : nullptr;
  mode.block = machine.sizes.block;
  return mode;
}

PostRow row_at(const isa::Post& insn, const Machine& machine, const Offsets& at) {
  const std::uint64_t block = machine.sizes.block;
  const std::uint64_t dst = insn.dst * block + at[kDst], a = insn.a * block + at[kA];
  const std::uint64_t b = insn.op == PostOp::SCALE ? 0 : insn.b * block + at[kB];
  PostRow row = {};
  if (insn.dst_memory == Memory::ACC)
    row.dst_acc = machine.acc.data() + dst;
  else
    row.dst_act = machine.act.data() + dst;
  if (insn.a_memory == Memory::ACC)
    row.a_acc = machine.acc.data() + a;
  else
    row.a_act = machine.act.data() + a;
  row.b = machine.act.data() + b;
  row.par = machine.par.data() + insn.par * block + at[kPar];
  return row;
}

}  // namespace

void check_rules(const Site& site, const isa::Post& insn, const HwSizes&) {
  const Status bad = Status::kOperandError;
  for (const Memory memory : {insn.dst_memory, insn.a_memory})
    if (memory != Memory::ACT && memory != Memory::ACC)
      refuse(site, bad, "dst_memory = ", name_of(insn.dst_memory),
             " and a_memory = ", name_of(insn.a_memory), " must be ACT or ACC");
  if (insn.low > insn.high) refuse(site, bad, "low = ", insn.low, " is above high = ", insn.high);
  if (insn.lookup && insn.dst_memory == Memory::ACC)
    refuse(site, bad, "lookup gives a byte, but dst_memory = ACC");
  if (insn.loops[0].extent > 1 && insn.loops[0].dst == 0)
    refuse(site, bad, "level 0 has extent ", insn.loops[0].extent, " and dst stride 0");
  if (insn.a_memory == insn.dst_memory) check_apart(site, insn, "a", insn.a, &isa::PostLevel::a);
  if (insn.op != PostOp::SCALE && insn.dst_memory == Memory::ACT)
    check_apart(site, insn, "b", insn.b, &isa::PostLevel::b);
}

Operands operands(const isa::Post& insn, const HwSizes&) {
  Operands result;
  Footprint par = footprint_of(insn.par, insn.loops, &isa::PostLevel::par);
  par.add(parameter_vectors(insn.op), 1);
  result.read("a", insn.a_memory, footprint_of(insn.a, insn.loops, &isa::PostLevel::a));
  result.read("par", Memory::PAR, par);
  if (insn.op != PostOp::SCALE)
    result.read("b", Memory::ACT, footprint_of(insn.b, insn.loops, &isa::PostLevel::b));
  if (insn.lookup) result.read("table", Memory::TAB, Footprint(insn.table));
  result.write("dst", insn.dst_memory, footprint_of(insn.dst, insn.loops, &isa::PostLevel::dst));
  return result;
}

void check_parameters(const Site& site, const isa::Post& insn, const Machine& machine) {
  const std::uint32_t block = machine.sizes.block;
  const bool two_groups = insn.op == PostOp::ADD || insn.op == PostOp::SUB;
  const bool full = insn.a_memory == Memory::ACC || insn.op == PostOp::MUL;
  const unsigned width = full && !insn.wide ? machine.sizes.mult_width : 31;
  Bitmap seen(machine.sizes.par);
  const Footprint used = footprint_of(insn.par, insn.loops, &isa::PostLevel::par);
  used.merged().for_each_run([&](std::uint64_t start, std::uint64_t count) {
    for (std::uint64_t par = start; par < start + count; ++par) {
      if (seen.test(par)) continue;
      seen.set(par, 1);
      const std::int32_t* vectors = machine.par.data() + par * block;
      check_group(site, vectors + block, block, 0, width);
      if (two_groups) check_group(site, vectors + 4 * block, block, 1, 31);
    }
    return true;
  });
}

Work plan(const isa::Post& insn, Machine& machine) {
  const std::uint64_t block = machine.sizes.block;
  Nest<4> nest;
  for (const isa::PostLevel& level : insn.loops) {
    const std::uint64_t b = insn.op == PostOp::SCALE ? 0 : level.b;
    nest.add(level.extent, {level.dst * block, level.a * block, b * block, level.par * block});
  }
  // Different destinations make the iterations independent: sources are apart or in place.
  const bool independent = footprint_of(insn.dst, insn.loops, &isa::PostLevel::dst).injective();
  const std::uint64_t lanes = nest.iterations() * block;
  const auto along = nest.pop(independent ? nest.longest() : 0);
  const Shares shares(nest.iterations(), lanes, kShareLanes, independent ? machine.threads : 1);
  const auto post = [insn, &machine, nest, along, shares](std::size_t part) {
    const PostMode mode = mode_of(insn, machine);
    nest.walk(shares.first(part), shares.size(part), [&](const Offsets& at, const std::uint64_t*) {
      PostRow row = row_at(insn, machine, at);
      row.count = along.extent;
      row.dst_stride = along.strides[kDst];
      row.a_stride = along.strides[kA];
      row.b_stride = along.strides[kB];
      row.par_stride = along.strides[kPar];
      machine.kernels.post(mode, row);
    });
  };
  return {shares.parts, post};
}

}  // namespace zebra::fsim
