#include "fsim/races.h"

#include <algorithm>

namespace zebra::fsim {
namespace {

template <typename Enum>
std::size_t index(Enum value) {
  return static_cast<std::size_t>(value);
}

// The part of [start, start + count) that is not below `limit`, moved down by it.
struct Part {
  Part(std::uint64_t start, std::uint64_t count, std::uint64_t limit)
      : first(std::max(start, limit) - limit), stop(std::max(start + count, limit) - limit) {}
  const std::uint64_t first, stop;
};

}  // namespace

// Constants are never written and need no record.
std::uint64_t Races::below(isa::Memory memory) const {
  return memory == isa::Memory::DRAM ? memories_.program.constant_bytes : 0;
}

void Races::enter(const Site& site, isa::Engine engine, std::uint32_t wait) {
  Clock& clock = clocks_[index(engine)];
  for (std::size_t giver = 0; giver < kEngines; ++giver) {
    if ((wait >> giver & 1) == 0) continue;
    Queue& queue = queues_[giver][index(engine)];
    const Clock& received = queue.given[queue.taken++];
    for (std::size_t i = 0; i < kEngines; ++i) clock[i] = std::max(clock[i], received[i]);
  }
  sites_[index(engine)].push_back(site);
  clock[index(engine)] = static_cast<std::uint32_t>(sites_[index(engine)].size());
}

void Races::access(const Site& site, isa::Engine engine, const Operands& touched) {
  for (const Operand& operand : touched) check(site, index(engine), operand);
  for (const Operand& operand : touched) note(index(engine), operand);
}

void Races::give(isa::Engine engine, std::uint32_t signal) {
  for (std::size_t taker = 0; taker < kEngines; ++taker)
    if (signal >> taker & 1) queues_[index(engine)][taker].given.push_back(clocks_[index(engine)]);
}

void Races::check(const Site& site, std::size_t engine, const Operand& operand) const {
  const std::uint64_t limit = below(operand.memory);
  for (std::size_t other = 0; other < kEngines; ++other) {
    if (other == engine) continue;
    const std::uint32_t known = clocks_[engine][other];
    for (const Use use : {Use::kRead, Use::kWrite}) {
      const History& history = histories_[index(operand.memory)][other][index(use)];
      const bool conflict = operand.use == Use::kWrite || use == Use::kWrite;
      if (!conflict || history.latest <= known) continue;
      const std::uint32_t* const last = history.last.data();
      operand.footprint.for_each_run([&](std::uint64_t start, std::uint64_t count) {
        const Part part(start, count, limit);
        for (std::uint64_t i = part.first; i < part.stop; ++i)
          if (last[i] > known) refuse_race(site, engine, operand, other, use, i + limit);
        return true;
      });
    }
  }
}

void Races::note(std::size_t engine, const Operand& operand) {
  const std::uint64_t limit = below(operand.memory);
  if (operand.footprint.last() < limit) return;
  History& history = histories_[index(operand.memory)][engine][index(operand.use)];
  if (history.last.data() == nullptr)
    history.last = Zeros<std::uint32_t>(memories_.capacity(operand.memory) - limit);
  history.latest = clocks_[engine][engine];
  std::uint32_t* const last = history.last.data();
  operand.footprint.for_each_run([&](std::uint64_t start, std::uint64_t count) {
    const Part part(start, count, limit);
    std::fill(last + part.first, last + part.stop, history.latest);
    return true;
  });
}

void Races::refuse_race(const Site& site, std::size_t engine, const Operand& operand,
                        std::size_t other, Use use, std::uint64_t address) const {
  const std::uint32_t* const last =
      histories_[index(operand.memory)][other][index(use)].last.data();
  const Site& earlier = sites_[other][last[address - below(operand.memory)] - 1];
  fail(Status::kTokenError, "instruction ", site.index, " (", site.kind, ") ",
       operand.use == Use::kWrite ? "writes " : "reads ", name_of(operand.memory), " ",
       unit_of(operand.memory), " ", address, " (", operand.name, "), which instruction ",
       earlier.index, " (", earlier.kind, ") ", use == Use::kWrite ? "writes" : "reads",
       ": no chain of tokens from ", name_of(static_cast<isa::Engine>(other)), " to ",
       name_of(static_cast<isa::Engine>(engine)), " orders the two");
}

}  // namespace zebra::fsim
