// Dependency tokens from the hazards of a program in its sequential order.
//
// zebra/codegen/tokens.py is the definition that tests compare this one with.
#ifndef ZEBRA_ASSEMBLE_TRACKER_H_
#define ZEBRA_ASSEMBLE_TRACKER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace zebra::assemble {

constexpr std::size_t kEngines = 4;
constexpr std::size_t kMemories = 6;
constexpr std::int64_t kNone = -1;

// For each engine the index of its last instruction that something depends on, or kNone.
using Latest = std::array<std::int64_t, kEngines>;

// Last writer and last readers of every address of one memory, as disjoint segments.
class Segments {
 public:
  // Record that instruction `index` of `engine` touches [start, stop), and raise `needs` to what
  // it depends on.
  void touch(std::uint64_t start, std::uint64_t stop, bool write, std::size_t engine,
             std::int64_t index, Latest* needs);

 private:
  struct Segment {
    std::uint64_t start = 0;
    std::int64_t writer = kNone;
    std::size_t writer_engine = 0;
    Latest readers = {kNone, kNone, kNone, kNone};  // since the write
  };

  // The segment that starts at `address`, split off if need be.
  std::size_t cut(std::uint64_t address);

  std::vector<Segment> segments_ = std::vector<Segment>(1);
};

class Tracker {
 public:
  explicit Tracker(std::size_t count) : wait_(count), signal_(count) {}

  // The next access of instruction `index`.
  void touch(std::size_t memory, std::uint64_t start, std::uint64_t stop, bool write,
             std::size_t engine, std::size_t index) {
    memories_[memory].touch(start, stop, write, engine, static_cast<std::int64_t>(index), &needs_);
  }

  // Instruction `index` of `engine` has no further accesses; indices ascend by one.
  void end(std::size_t engine, std::size_t index);

  std::uint8_t wait(std::size_t index) const { return wait_[index]; }
  std::uint8_t signal(std::size_t index) const { return signal_[index]; }

 private:
  static constexpr Latest kIdle = {kNone, kNone, kNone, kNone};

  std::array<Segments, kMemories> memories_;
  Latest needs_ = kIdle;  // of the instruction under way
  std::array<Latest, kEngines> known_ = {kIdle, kIdle, kIdle, kIdle};  // what each waited for
  std::vector<std::uint8_t> wait_;
  std::vector<std::uint8_t> signal_;
};

}  // namespace zebra::assemble

#endif  // ZEBRA_ASSEMBLE_TRACKER_H_
