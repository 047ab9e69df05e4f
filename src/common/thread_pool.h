// One pool of threads for the whole process, which every run may use at once.
#ifndef ZEBRA_COMMON_THREAD_POOL_H_
#define ZEBRA_COMMON_THREAD_POOL_H_

#include <cstddef>
#include <functional>

namespace zebra {

// Threads to use when the caller asks for all cores; at least 1.
unsigned core_count();

// Call task(0) .. task(count - 1), in any order, on up to `threads` threads (the caller is one
// of them), and return when all are done. `task` must not throw. The caller takes items itself,
// so that nested or concurrent calls, and a child process without workers, always finish.
void parallel_for(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& task);

}  // namespace zebra

#endif  // ZEBRA_COMMON_THREAD_POOL_H_
