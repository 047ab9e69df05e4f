// The cycle model: how long a Zebra program takes, and why. docs/cycle_model.md states its rules.
//
// It needs no data: time depends on the program and the configuration only.
#ifndef ZEBRA_CYCLE_H_
#define ZEBRA_CYCLE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "zebra/simulator.h"

namespace zebra {

// The memory system; the DRAM_ keys of zebra.hw.HwConfig.
struct DramTiming {
  std::uint32_t bytes_per_cycle = 8;
  std::uint32_t latency = 0;       // cycles from a request to its first byte
  std::uint32_t burst_bytes = 64;  // granularity of an access
};

// What an engine does with a cycle: works at its full rate, or loses it for a reason.
enum class Spent : int {
  kBusy = 0,
  kWaitLoad = 1,  // for a token from LOAD, and so on
  kWaitGemm = 2,
  kWaitVec = 3,
  kWaitStore = 4,
  kFetch = 5,          // its queue is empty: its next instruction is not fetched
  kQueues = 6,         // its queue is empty: its next instruction is behind one whose queue is full
  kDramLatency = 7,    // for the first byte
  kDramBandwidth = 8,  // other requesters have the DRAM
  kRequests = 9,       // a run per cycle, an entry group per cycle: slower than the DRAM
  kBanks = 10,         // neighbouring pixels lie in one bank
  kHazard = 11,        // what it reads or adds to is still in the pipeline
  kParameters = 12,    // reading PAR
  kPipeline = 13,      // its last instruction is not done, and the next cannot start
  kFinished = 14,      // nothing is left to do
};
constexpr std::size_t kSpentKinds = 15;

// One instruction. `cycles` is what its engine spent on it, waiting included.
struct CycleRecord {
  std::uint64_t start = 0;         // first cycle of work; of a transfer: of data
  std::uint64_t end = 0;           // cycle by which its last result is written
  std::uint64_t useful_bytes = 0;  // of DRAM, as the program means it
  std::uint64_t moved_bytes = 0;   // of DRAM, in whole bursts
  std::uint64_t macs = 0;          // as Counters::macs
  std::uint64_t engine = 0;        // isa::Engine
  std::uint64_t cycles[kSpentKinds] = {};
};

// A whole run. The engines are in the order LOAD, GEMM, VEC, STORE.
struct CycleTotals {
  std::uint64_t cycles = 0;
  std::uint64_t instruction_bytes = 0;       // fetched from DRAM, in whole bursts
  std::uint64_t spent[4][kSpentKinds] = {};  // each row sums to `cycles`
};

// Time the `code_bytes` bytes of `code`. `records` takes one CycleRecord per instruction, or is
// null. On an error (kEncodingError, kOperandError, kTokenError: what any simulator refuses
// without looking at addresses and data; kDriverError) `*message` is one sentence. Never throws.
Status simulate_cycles(const HwSizes& sizes, const DramTiming& dram, const std::uint8_t* code,
                       std::uint64_t code_bytes, CycleTotals* totals, CycleRecord* records,
                       std::string* message) noexcept;

}  // namespace zebra

#endif  // ZEBRA_CYCLE_H_
