#include "assemble/tracker.h"

#include <algorithm>

namespace zebra::assemble {

std::size_t Segments::cut(std::uint64_t address) {
  const auto at = std::lower_bound(
      segments_.begin(), segments_.end(), address,
      [](const Segment& segment, std::uint64_t where) { return segment.start < where; });
  const std::size_t position = static_cast<std::size_t>(at - segments_.begin());
  if (at == segments_.end() || at->start != address) {
    Segment rest = segments_[position - 1];
    rest.start = address;
    segments_.insert(at, rest);
  }
  return position;
}

void Segments::touch(std::uint64_t start, std::uint64_t stop, bool write, std::size_t engine,
                     std::int64_t index, Latest* needs) {
  const std::size_t first = cut(start);
  const std::size_t last = cut(stop);
  for (std::size_t i = first; i < last; ++i) {
    Segment& segment = segments_[i];
    std::int64_t& need = (*needs)[segment.writer_engine];
    need = std::max(need, segment.writer);
    if (!write) {
      segment.readers[engine] = index;
      continue;
    }
    for (std::size_t reader = 0; reader < kEngines; ++reader)
      (*needs)[reader] = std::max((*needs)[reader], segment.readers[reader]);
  }
  if (!write || first == last) return;
  segments_[first] = Segment();
  segments_[first].start = start;
  segments_[first].writer = index;
  segments_[first].writer_engine = engine;
  const auto begin = segments_.begin();
  segments_.erase(begin + static_cast<std::ptrdiff_t>(first) + 1,
                  begin + static_cast<std::ptrdiff_t>(last));
}

void Tracker::end(std::size_t engine, std::size_t index) {
  for (std::size_t other = 0; other < kEngines; ++other) {
    if (other == engine || needs_[other] <= known_[engine][other]) continue;
    known_[engine][other] = needs_[other];
    signal_[static_cast<std::size_t>(needs_[other])] |= static_cast<std::uint8_t>(1u << engine);
    wait_[index] |= static_cast<std::uint8_t>(1u << other);
  }
  needs_ = kIdle;
}

}  // namespace zebra::assemble
