// Instructions in flight: what does not touch what others do runs at the same time.
#ifndef ZEBRA_FSIM_WINDOW_H_
#define ZEBRA_FSIM_WINDOW_H_

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "fsim/operand.h"
#include "fsim/work.h"
#include "zebra/isa.h"

namespace zebra::fsim {

// The last kSlots instructions that one thread, the issuer, has added in program order. Each waits
// for those before it that it conflicts with: one of the two writes between the first and the last
// address of what the other touches in the same memory. So the outcome is that of program order,
// whatever the tokens say.
class Window {
 public:
  // Work for `threads` threads, of which one is the issuer; with one, everything is done at once.
  explicit Window(unsigned threads) : alone_(threads <= 1) {}

  // Issuer: one more instruction.
  void add(const Operands& touched, Work work);

  // Issuer: return when no instruction in flight writes to `memory`, or, of the second, when
  // none is in flight.
  void settle(isa::Memory memory);
  void finish();

  // Issuer, at the end: the others may go.
  void close();

  // Any other thread: do work until the window is closed.
  void help();

 private:
  static constexpr std::size_t kSlots = 64;
  static constexpr std::size_t kMostOperands = 5;
  using Mask = std::uint64_t;  // one bit per slot
  using Lock = std::unique_lock<std::mutex>;

  struct Access {
    isa::Memory memory;
    Use use;
    std::uint64_t first, last;
  };

  struct Slot {
    Work work;
    std::array<Access, kMostOperands> accesses;
    std::size_t access_count = 0;
    std::size_t taken = 0, done = 0;  // items
    Mask blockers = 0;                // what it waits for
  };

  static Mask bit(std::size_t slot) { return Mask{1} << slot; }
  static bool conflict(const Slot& a, const Slot& b);
  Lock lock();
  template <typename Done>
  void work_until(Done done);
  Mask writers(isa::Memory memory) const;
  bool run_one(Lock& held);
  void retire(std::size_t slot);
  void wake();
  template <typename Ready>
  void wait(Lock& held, Ready ready);

  const bool alone_;
  std::array<Slot, kSlots> slots_;
  std::size_t next_ = 0;  // the slot of the next instruction, and of the oldest one

  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned sleepers_ = 0;
  // Written under the mutex; read also without it, to see whether there may be something to do.
  std::atomic<Mask> live_{0};   // not done
  std::atomic<Mask> ready_{0};  // with items that can be taken
  std::atomic<bool> closed_{false};
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_WINDOW_H_
