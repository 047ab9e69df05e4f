// What is still in the pipeline of GEMM or VEC, and how long the next instruction waits for it.
#ifndef ZEBRA_CYCLE_PIPELINE_H_
#define ZEBRA_CYCLE_PIPELINE_H_

#include <algorithm>
#include <cstdint>
#include <deque>

#include "cycle/rules.h"
#include "cycle/work.h"

namespace zebra::cycle {

class Pipeline {
 public:
  // The first cycle in which `work` may issue its first group, for all that was issued before.
  std::uint64_t ready(const Work& work) const {
    std::uint64_t time = work.adds ? added_ : 0;
    for (const Flight& flight : flights_)
      if (waits(work, *flight.work)) time = std::max(time, flight.done);
    if (flights_.size() == kVecInFlight) time = std::max(time, flights_.front().done);
    return time;
  }

  // `work` issues in the cycles [start, end), start >= ready(work). It must outlive the pipeline.
  void issue(const Work& work, std::uint64_t start, std::uint64_t end) {
    drained_ = end + work.pipeline;
    if (work.accumulates) added_ = end - 1 + kAccLatency;
    while (!flights_.empty() && flights_.front().done <= start) flights_.pop_front();
    if (work.engine == isa::Engine::VEC) flights_.push_back({&work, drained_});
  }

  // The cycle by which everything issued is done.
  std::uint64_t drained() const { return drained_; }

 private:
  struct Flight {
    const Work* work;
    std::uint64_t done;
  };

  static bool waits(const Work& work, const Work& former) {
    if (work.reads_acc && (former.accumulates || former.writes_acc)) return true;
    if (work.accumulates && former.writes_acc) return true;
    return work.reads_act[0].meets(former.writes_act) || work.reads_act[1].meets(former.writes_act);
  }

  std::uint64_t added_ = 0;  // when any accumulator can be added to again
  std::uint64_t drained_ = 0;
  std::deque<Flight> flights_;  // VEC's instructions that may not be done; GEMM needs no more
};

}  // namespace zebra::cycle

#endif  // ZEBRA_CYCLE_PIPELINE_H_
