#include "cycle/simulation.h"

#include <algorithm>

#include "common/error.h"
#include "cycle/rules.h"

namespace zebra::cycle {
namespace {

using isa::Engine;

std::size_t number(Engine engine) { return static_cast<std::size_t>(engine); }

Requester requester(Engine engine) {
  return engine == Engine::LOAD ? Requester::kLoad : Requester::kStore;
}

Spent wait_for(std::size_t giver) {
  return static_cast<Spent>(static_cast<std::size_t>(Spent::kWaitLoad) + giver);
}

bool uses_dram(const Work& work) { return work.moved > 0; }

}  // namespace

Simulation::Simulation(const std::vector<Work>& works, const DramTiming& timing,
                       std::vector<CycleRecord>& records)
    : works_(works),
      timing_(timing),
      records_(records),
      dram_(timing.bytes_per_cycle),
      remaining_(works.size()),
      fetch_bytes_(std::max<std::uint64_t>(timing.burst_bytes, isa::kWordBytes)),
      per_fetch_(fetch_bytes_ / isa::kWordBytes),
      queued_at_(works.size()) {
  for (std::size_t i = 0; i < works.size(); ++i) {
    lanes_[number(works[i].engine)].order.push_back(i);
    records_[i].engine = number(works[i].engine);
    records_[i].useful_bytes = works[i].useful;
    records_[i].moved_bytes = works[i].moved;
    records_[i].macs = works[i].macs;
  }
}

CycleTotals Simulation::run() {
  while (!finished()) {
    while (step()) continue;
    if (finished()) break;
    if (dram_awaited_) next_ = std::min(next_, now_ + dram_.next());
    if (next_ == kNever)
      fail(Status::kTokenError, "after ", now_, " cycles the engines wait for each other for ever");
    dram_.advance(next_ - now_);
    now_ = next_;
  }
  for (Lane& lane : lanes_) account_draining(lane, kNever);
  return totals();
}

bool Simulation::finished() const { return remaining_ == 0; }

// Everything that can happen now; false if nothing could, and then next_ is the next event, unless
// the DRAM, if dram_awaited_, has one before.
bool Simulation::step() {
  next_ = kNever;
  dram_awaited_ = false;
  bool moved = fetch();
  moved |= decode();
  for (const Engine engine : {Engine::LOAD, Engine::STORE}) {
    moved |= move(engine);
    moved |= begin(engine);
  }
  for (const Engine engine : {Engine::GEMM, Engine::VEC}) moved |= compute(engine);
  return moved;
}

bool Simulation::due(std::uint64_t time) {
  if (time <= now_) return true;
  next_ = std::min(next_, time);
  return false;
}

void Simulation::wait_for_dram() { dram_awaited_ = true; }

bool Simulation::fetch() {
  const std::size_t room = std::max<std::size_t>(kPrefetch, 2 * per_fetch_);
  bool moved = false;
  while (requested_ < works_.size() && requested_ + per_fetch_ <= decoded_ + room) {
    fetches_.push_back(now_);
    requested_ += per_fetch_;
    moved = true;
  }
  if (fetching_ && !dram_.active(Requester::kFetch)) {
    fetching_ = false;
    fetched_ = std::min(fetched_ + per_fetch_, works_.size());
    moved = true;
  }
  if (fetching_) {
    wait_for_dram();
  } else if (!fetches_.empty() && due(fetches_.front() + timing_.latency)) {
    fetches_.pop_front();
    dram_.begin(Requester::kFetch, fetch_bytes_);
    fetching_ = true;
    moved = true;
  }
  return moved;
}

// One instruction per cycle, in order, from the buffer to its queue.
bool Simulation::decode() {
  if (decoded_ == fetched_ || !due(decode_free_)) return false;
  Lane& lane = lanes_[number(works_[decoded_].engine)];
  const bool full = lane.queued - lane.taken >= kQueueDepth;
  note_blocked(full);
  if (full) return false;
  decode_free_ = now_ + 1;
  queued_at_[decoded_++] = now_ + 1;
  ++lane.queued;
  return true;
}

void Simulation::note_blocked(bool full) {
  if (full && !blocking_) blocked_.push_back({now_, kNever});
  if (!full && blocking_) blocked_.back().end = now_;
  blocking_ = full;
}

// Cycles of [from, to) in which the decoder was blocked; `to` is not in the future.
std::uint64_t Simulation::blocked_between(std::uint64_t from, std::uint64_t to) const {
  std::uint64_t cycles = 0;
  for (auto it = blocked_.rbegin(); it != blocked_.rend() && it->end > from; ++it)
    cycles += std::max(std::min(it->end, to), from) - std::max(std::min(it->start, to), from);
  return cycles;
}

// The lane's oldest instruction, if all its tokens are given (perhaps not arrived).
bool Simulation::head(const Lane& lane, Engine engine, Arrival* token) const {
  if (lane.taken == lane.queued) return false;
  *token = tokens_.arrival(number(engine), works_[lane.order[lane.taken]].wait);
  return token->time != kNever;
}

void Simulation::take_head(Lane& lane, Engine engine) {
  tokens_.take(number(engine), works_[lane.order[lane.taken++]].wait);
}

void Simulation::spend(std::size_t index, Spent what, std::uint64_t cycles) {
  records_[index].cycles[static_cast<std::size_t>(what)] += cycles;
}

// The lane's time from `free` until `until`.
void Simulation::spend_rest(Lane& lane, std::size_t index, Spent what, std::uint64_t until) {
  if (until <= lane.free) return;
  spend(index, what, until - lane.free);
  lane.free = until;
}

// The lane's time while the instructions that left its queue drain, at most until `until`.
void Simulation::account_draining(Lane& lane, std::uint64_t until) {
  if (lane.taken == 0) return;
  spend_rest(lane, lane.order[lane.taken - 1], Spent::kPipeline,
             std::min(lane.pipeline.drained(), until));
}

// The lane's time until its next instruction was in the queue with all tokens.
void Simulation::account_waiting(Lane& lane, std::size_t index, const Arrival& token) {
  if (queued_at_[index] > lane.free) {
    const std::uint64_t blocked = blocked_between(lane.free, queued_at_[index]);
    spend(index, Spent::kQueues, blocked);
    lane.free += blocked;
  }
  spend_rest(lane, index, Spent::kFetch, queued_at_[index]);
  spend_rest(lane, index, wait_for(token.giver), token.time);
}

bool Simulation::compute(Engine engine) {
  Lane& lane = lanes_[number(engine)];
  Arrival token;
  if (!head(lane, engine, &token)) return false;
  const std::size_t index = lane.order[lane.taken];
  const Work& work = works_[index];
  const std::uint64_t entered = std::max(queued_at_[index], token.time);
  if (!due(std::max({lane.free, entered, lane.pipeline.ready(work)}))) return false;
  account_draining(lane, entered);
  account_waiting(lane, index, token);
  spend_rest(lane, index, Spent::kHazard, now_);
  take_head(lane, engine);
  spend(index, Spent::kBusy, work.busy);
  spend(index, Spent::kBanks, work.banks);
  spend(index, Spent::kHazard, work.hazard);
  spend(index, Spent::kParameters, work.parameters);
  records_[index].start = now_;
  lane.free = now_ + work.busy + work.banks + work.hazard + work.parameters;
  lane.pipeline.issue(work, now_, lane.free);
  const std::uint64_t done = records_[index].end = lane.pipeline.drained();
  for (std::size_t taker = 0; taker < fsim::kEngines; ++taker)
    if (work.signal >> taker & 1) tokens_.give(number(engine), taker, done + kTokenLatency);
  --remaining_;
  return true;
}

// Take the tokens of a LOAD or STORE and send its requests, behind those of its predecessors.
bool Simulation::begin(Engine engine) {
  Lane& lane = lanes_[number(engine)];
  Channel& channel = channels_[number(engine)];
  Arrival token;
  if (channel.begun.size() >= kInFlight || !head(lane, engine, &token)) return false;
  const std::size_t index = lane.order[lane.taken];
  if (!due(std::max(queued_at_[index], token.time))) return false;
  take_head(lane, engine);
  channel.begun.push_back({index, now_, token});
  return true;
}

bool Simulation::move(Engine engine) {
  Channel& channel = channels_[number(engine)];
  if (channel.begun.empty()) return false;
  if (channel.moving) {
    if (dram_.active(requester(engine))) {
      wait_for_dram();
      return false;
    }
    if (!due(channel.requested)) return false;
    end_data(engine);
    return true;
  }
  const Begun& begun = channel.begun.front();
  std::uint64_t lead = 0;
  if (uses_dram(works_[begun.index]))
    lead = engine == Engine::LOAD ? timing_.latency : kTransferPipeline;
  if (!due(begun.time + lead)) return false;
  start_data(engine);
  return true;
}

void Simulation::start_data(Engine engine) {
  Lane& lane = lanes_[number(engine)];
  Channel& channel = channels_[number(engine)];
  const Begun& begun = channel.begun.front();
  const Work& work = works_[begun.index];
  account_waiting(lane, begun.index, begun.token);
  spend_rest(lane, begun.index, engine == Engine::LOAD ? Spent::kDramLatency : Spent::kPipeline,
             now_);
  records_[begun.index].start = now_;
  if (uses_dram(work)) dram_.begin(requester(engine), work.moved);
  channel.requested = now_ + (uses_dram(work) ? work.requests : work.busy + work.banks);
  channel.moving = true;
}

void Simulation::end_data(Engine engine) {
  Lane& lane = lanes_[number(engine)];
  Channel& channel = channels_[number(engine)];
  const std::size_t index = channel.begun.front().index;
  const Work& work = works_[index];
  channel.begun.pop_front();
  channel.moving = false;
  spend(index, Spent::kBusy, work.busy);
  spend(index, Spent::kBanks, work.banks);
  lane.free += work.busy + work.banks;
  if (uses_dram(work) && work.requests > work.busy)
    spend_rest(lane, index, Spent::kRequests, records_[index].start + work.requests);
  spend_rest(lane, index, Spent::kDramBandwidth, now_);
  const bool store = engine == Engine::STORE;
  const std::uint64_t done = store ? now_ : now_ + kTransferPipeline;
  records_[index].end = store ? now_ + timing_.latency : done;
  for (std::size_t taker = 0; taker < fsim::kEngines; ++taker) {
    const std::uint64_t seen = taker == number(Engine::LOAD) ? records_[index].end : done;
    if (work.signal >> taker & 1) tokens_.give(number(engine), taker, seen + kTokenLatency);
  }
  --remaining_;
}

CycleTotals Simulation::totals() const {
  CycleTotals totals;
  totals.instruction_bytes = requested_ / per_fetch_ * fetch_bytes_;
  for (const CycleRecord& record : records_) {
    totals.cycles = std::max(totals.cycles, record.end);
    for (std::size_t kind = 0; kind < kSpentKinds; ++kind)
      totals.spent[record.engine][kind] += record.cycles[kind];
  }
  for (std::size_t engine = 0; engine < fsim::kEngines; ++engine)
    totals.spent[engine][static_cast<std::size_t>(Spent::kFinished)] =
        totals.cycles - lanes_[engine].free;
  return totals;
}

}  // namespace zebra::cycle
