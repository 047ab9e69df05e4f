// The engines, the fetch and the DRAM in time, from event to event.
#ifndef ZEBRA_CYCLE_SIMULATION_H_
#define ZEBRA_CYCLE_SIMULATION_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "cycle/dram.h"
#include "cycle/pipeline.h"
#include "cycle/timed_tokens.h"
#include "cycle/work.h"
#include "zebra/cycle.h"

namespace zebra::cycle {

class Simulation {
 public:
  // `records`: one per instruction.
  Simulation(const std::vector<Work>& works, const DramTiming& timing,
             std::vector<CycleRecord>& records);

  // Throws an Error (kTokenError) if the engines wait for each other for ever.
  CycleTotals run();

 private:
  // One engine's queue. The engine is accounted for until `free`.
  struct Lane {
    std::vector<std::size_t> order;  // its instructions
    std::size_t queued = 0;          // of `order`, instructions that reached the queue
    std::size_t taken = 0;           // and those that left it
    std::uint64_t free = 0;
    Pipeline pipeline;  // of GEMM and VEC
  };
  // A LOAD or STORE that took its tokens.
  struct Begun {
    std::size_t index;
    std::uint64_t time;
    Arrival token;
  };
  struct Channel {
    std::deque<Begun> begun;  // the first one moves data if `moving`
    bool moving = false;
    std::uint64_t requested = 0;  // the time by which its requests and its entries are done
  };

  bool step();
  bool fetch();
  bool decode();
  bool compute(isa::Engine engine);
  bool begin(isa::Engine engine);
  bool move(isa::Engine engine);
  void start_data(isa::Engine engine);
  void end_data(isa::Engine engine);

  void note_blocked(bool full);
  std::uint64_t blocked_between(std::uint64_t from, std::uint64_t to) const;

  bool due(std::uint64_t time);
  void wait_for_dram();
  bool head(const Lane& lane, isa::Engine engine, Arrival* token) const;
  void take_head(Lane& lane, isa::Engine engine);
  void account_draining(Lane& lane, std::uint64_t until);
  void account_waiting(Lane& lane, std::size_t index, const Arrival& token);
  void spend(std::size_t index, Spent what, std::uint64_t cycles);
  void spend_rest(Lane& lane, std::size_t index, Spent what, std::uint64_t until);
  bool finished() const;
  CycleTotals totals() const;

  const std::vector<Work>& works_;
  const DramTiming timing_;
  std::vector<CycleRecord>& records_;
  Dram dram_;
  TimedTokens tokens_;
  Lane lanes_[fsim::kEngines];
  Channel channels_[fsim::kEngines];  // of LOAD and STORE
  std::uint64_t now_ = 0;
  std::uint64_t next_ = kNever;
  bool dram_awaited_ = false;  // something goes on when the DRAM is done with a requester
  std::size_t remaining_;      // instructions that have not ended

  const std::uint64_t fetch_bytes_;    // of one request
  const std::size_t per_fetch_;        // instructions in it
  std::deque<std::uint64_t> fetches_;  // times of the requests that are not answered
  bool fetching_ = false;
  std::size_t requested_ = 0;  // instructions requested
  std::size_t fetched_ = 0;    // instructions in the buffer or past it
  std::size_t decoded_ = 0;    // instructions past the buffer
  std::uint64_t decode_free_ = 0;
  std::vector<std::uint64_t> queued_at_;  // of every instruction
  struct Interval {
    std::uint64_t start;
    std::uint64_t end;
  };
  std::vector<Interval> blocked_;  // in which the decoder stood before a full queue
  bool blocking_ = false;          // and stands now, since the last one's start
};

}  // namespace zebra::cycle

#endif  // ZEBRA_CYCLE_SIMULATION_H_
