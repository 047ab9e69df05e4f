// Looking for something that another thread is about to do.
#ifndef ZEBRA_COMMON_LOOK_H_
#define ZEBRA_COMMON_LOOK_H_

#include <chrono>
#include <thread>

namespace zebra {

// The instructions of a program come quickly one after the other: waking a thread that sleeps
// takes longer than this, so threads look for a while before they sleep.
constexpr std::chrono::microseconds kPatience{50};

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Look for up to kPatience until `ready()`.
template <typename Ready>
void look(Ready ready) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  do {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return;
      pause();
    }
    std::this_thread::yield();  // the other one may be waiting for this core
  } while (std::chrono::steady_clock::now() < end);
}

}  // namespace zebra

#endif  // ZEBRA_COMMON_LOOK_H_
