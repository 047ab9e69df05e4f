#include "fsim/window.h"

#include <utility>

#include "common/look.h"

namespace zebra::fsim {

bool Window::conflict(const Slot& a, const Slot& b) {
  for (std::size_t i = 0; i < a.access_count; ++i)
    for (std::size_t j = 0; j < b.access_count; ++j) {
      const Access &x = a.accesses[i], &y = b.accesses[j];
      if (x.memory == y.memory && (x.use == Use::kWrite || y.use == Use::kWrite) &&
          x.first <= y.last && y.first <= x.last)
        return true;
    }
  return false;
}

void Window::add(const Operands& touched, Work work) {
  if (alone_) {
    for (std::size_t item = 0; item < work.items; ++item) work.run(item);
    return;
  }
  const std::size_t own = next_;
  work_until([this, own] { return (live_ & bit(own)) == 0; });
  Slot& slot = slots_[own];
  slot.work = std::move(work);
  slot.access_count = slot.taken = slot.done = 0;
  for (const Operand& operand : touched)
    slot.accesses[slot.access_count++] = {operand.memory, operand.use, operand.footprint.first(),
                                          operand.footprint.last()};
  // Only the issuer changes accesses, and what is done by now blocks nothing.
  Mask blockers = 0;
  for (Mask rest = live_; rest != 0; rest &= rest - 1) {
    const auto other = static_cast<std::size_t>(__builtin_ctzll(rest));
    if (conflict(slot, slots_[other])) blockers |= bit(other);
  }
  const Lock held = lock();
  next_ = (own + 1) % kSlots;
  slot.blockers = blockers & live_;
  live_ |= bit(own);
  if (slot.blockers != 0) return;
  ready_ |= bit(own);
  wake();
}

void Window::settle(isa::Memory memory) {
  work_until([this, memory] { return writers(memory) == 0; });
}

void Window::finish() {
  work_until([this] { return live_ == 0; });
}

void Window::close() {
  const Lock held = lock();
  closed_ = true;
  wake();
}

void Window::help() {
  Lock held = lock();
  while (!closed_)
    if (!run_one(held)) wait(held, [this] { return ready_ != 0 || closed_; });
}

// Of the slots in flight, those that write to `memory`.
Window::Mask Window::writers(isa::Memory memory) const {
  Mask result = 0;
  for (Mask rest = live_; rest != 0; rest &= rest - 1) {
    const Slot& slot = slots_[static_cast<std::size_t>(__builtin_ctzll(rest))];
    for (std::size_t i = 0; i < slot.access_count; ++i)
      if (slot.accesses[i].memory == memory && slot.accesses[i].use == Use::kWrite)
        result |= rest & -rest;
  }
  return result;
}

// The mutex is never held for long: a thread that slept for it would lose more time.
Window::Lock Window::lock() {
  Lock held(mutex_, std::defer_lock);
  look([&held] { return held.try_lock(); });
  if (!held.owns_lock()) held.lock();
  return held;
}

// The issuer helps until `done()`, which only its own additions can make untrue again.
template <typename Done>
void Window::work_until(Done done) {
  if (done()) return;
  Lock held = lock();
  while (!done())
    if (!run_one(held)) wait(held, [this, &done] { return ready_ != 0 || done(); });
}

// Do an item of the oldest instruction that can be done. False if there is none.
bool Window::run_one(Lock& held) {
  const Mask ready = ready_;
  if (ready == 0) return false;
  const Mask older = ready & ~(bit(next_) - 1);  // slots before next_ were filled after the rest
  const auto chosen = static_cast<std::size_t>(__builtin_ctzll(older != 0 ? older : ready));
  Slot& slot = slots_[chosen];
  const std::size_t item = slot.taken++;
  if (slot.taken == slot.work.items) ready_ &= ~bit(chosen);
  held.unlock();
  slot.work.run(item);
  held = lock();
  if (++slot.done == slot.work.items) retire(chosen);
  return true;
}

void Window::retire(std::size_t slot) {
  live_ &= ~bit(slot);
  for (Mask rest = live_; rest != 0; rest &= rest - 1) {
    Slot& other = slots_[static_cast<std::size_t>(__builtin_ctzll(rest))];
    if ((other.blockers & bit(slot)) == 0) continue;
    other.blockers &= ~bit(slot);
    if (other.blockers == 0) ready_ |= rest & -rest;
  }
  wake();
}

void Window::wake() {
  if (sleepers_ > 0) changed_.notify_all();
}

// Without the mutex, until `ready()`.
template <typename Ready>
void Window::wait(Lock& held, Ready ready) {
  held.unlock();
  look(ready);
  held = lock();
  ++sleepers_;
  changed_.wait(held, ready);
  --sleepers_;
}

}  // namespace zebra::fsim
