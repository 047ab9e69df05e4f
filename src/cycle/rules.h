// The numbers of the circuit that no configuration changes. docs/cycle_model.md explains each.
#ifndef ZEBRA_CYCLE_RULES_H_
#define ZEBRA_CYCLE_RULES_H_

#include <cstdint>

namespace zebra::cycle {

constexpr std::uint64_t kQueueDepth = 16;       // instructions each engine's queue holds
constexpr std::uint64_t kPrefetch = 16;         // instructions the fetch buffer holds
constexpr std::uint64_t kTokenLatency = 2;      // from the giver's end to the taker's start
constexpr std::uint64_t kInFlight = 8;          // LOAD (STORE) instructions begun, not ended
constexpr std::uint64_t kTransferPipeline = 4;  // between DRAM's beat and the scratchpad's entry
constexpr std::uint64_t kGemmPipeline = 8;      // stages, and one more per level of the adder tree
constexpr std::uint64_t kVecPipeline = 12;      // stages
constexpr std::uint64_t kVecInFlight = 4;       // VEC instructions issued, not done
constexpr std::uint64_t kAccLatency = 4;        // cycles from reading an accumulator to its next
constexpr std::uint64_t kParVectors = 3;        // PAR vectors read per cycle
constexpr std::uint64_t kTabBytes = 8;          // bytes of a table written per cycle

}  // namespace zebra::cycle

#endif  // ZEBRA_CYCLE_RULES_H_
