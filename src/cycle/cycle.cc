#include "zebra/cycle.h"

#include <exception>
#include <new>
#include <vector>

#include "common/error.h"
#include "cycle/simulation.h"
#include "cycle/work.h"
#include "fsim/limits.h"
#include "fsim/static_rules.h"

namespace zebra {
namespace cycle {
namespace {

void check_timing(const DramTiming& dram) {
  const bool good = dram.bytes_per_cycle >= 1 && dram.bytes_per_cycle <= 1024 &&
                    dram.latency <= 10000 && dram.burst_bytes >= 8 && dram.burst_bytes <= 4096;
  if (!good)
    fail(Status::kDriverError, "cycle: ", dram.bytes_per_cycle, " bytes per cycle, latency ",
         dram.latency, ", bursts of ", dram.burst_bytes,
         " bytes are no DRAM; pass the timing of an HwConfig");
}

// What every instruction asks for, its static rules and the program's tokens checked.
std::vector<Work> decode_program(const HwSizes& sizes, const DramTiming& dram,
                                 const std::uint8_t* code, std::uint64_t code_bytes) {
  std::vector<Work> works;
  works.reserve(code_bytes / isa::kWordBytes);
  fsim::Tokens tokens;
  for (std::uint64_t i = 0; i < code_bytes / isa::kWordBytes; ++i)
    fsim::visit_instruction(i, code + i * isa::kWordBytes, sizes,
                            [&](const fsim::Site& site, const auto& insn, std::uint64_t) {
                              tokens.take(site, insn.kEngine, insn.wait);
                              tokens.give(insn.kEngine, insn.signal);
                              works.push_back(work_of(insn, sizes, dram));
                            });
  tokens.check_empty();
  return works;
}

void simulate(const HwSizes& sizes, const DramTiming& dram, const std::uint8_t* code,
              std::uint64_t code_bytes, CycleTotals* totals, CycleRecord* records) {
  fsim::check_sizes(sizes);
  check_timing(dram);
  Program program;
  program.code_bytes = code_bytes;
  fsim::check_program(program);
  if (code == nullptr && code_bytes > 0) fail(Status::kDriverError, "cycle: the code is null");
  const std::vector<Work> works = decode_program(sizes, dram, code, code_bytes);
  std::vector<CycleRecord> recorded(works.size());
  *totals = Simulation(works, dram, recorded).run();
  if (records != nullptr) std::copy(recorded.begin(), recorded.end(), records);
}

}  // namespace
}  // namespace cycle

Status simulate_cycles(const HwSizes& sizes, const DramTiming& dram, const std::uint8_t* code,
                       std::uint64_t code_bytes, CycleTotals* totals, CycleRecord* records,
                       std::string* message) noexcept {
  try {
    cycle::simulate(sizes, dram, code, code_bytes, totals, records);
    return Status::kOk;
  } catch (const Error& error) {
    *message = error.what();
    return error.status();
  } catch (const std::bad_alloc&) {
    *message = "cycle: no memory";
  } catch (const std::exception& error) {
    *message = error.what();
  }
  return Status::kDriverError;
}

}  // namespace zebra
