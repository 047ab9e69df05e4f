#include "common/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#include "common/look.h"

namespace zebra {
namespace {

// One parallel_for. Workers that come late find no item left and never touch `task`.
struct Batch {
  Batch(std::size_t item_count, const std::function<void(std::size_t)>& function)
      : count(item_count), task(&function) {}

  void work() {
    std::size_t finished = 0;
    for (std::size_t item = next++; item < count; item = next++) {
      (*task)(item);
      ++finished;
    }
    if (finished == 0) return;
    const std::lock_guard<std::mutex> lock(mutex);
    done += finished;
    if (done == count) all_done.notify_all();
  }

  void wait() {
    const auto complete = [this] { return done == count; };
    look(complete);
    std::unique_lock<std::mutex> lock(mutex);
    all_done.wait(lock, complete);
  }

  const std::size_t count;
  const std::function<void(std::size_t)>* const task;
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::condition_variable all_done;
  std::atomic<std::size_t> done{0};
};

class Pool {
 public:
  // Let up to `helpers` workers join `batch`.
  void offer(const std::shared_ptr<Batch>& batch, unsigned helpers) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      while (workers_ < helpers && start_worker()) ++workers_;
      for (unsigned i = 0; i < std::min(helpers, workers_); ++i) queue_.push_back(batch);
      waiting_ = queue_.size();
    }
    work_waits_.notify_all();
  }

 private:
  // A system that refuses more threads costs speed only: the caller does the work.
  bool start_worker() {
    try {
      std::thread([this] { serve(); }).detach();
      return true;
    } catch (const std::system_error&) {
      return false;
    }
  }

  void serve() {
    for (;;) {
      look([this] { return waiting_ > 0; });
      std::unique_lock<std::mutex> lock(mutex_);
      work_waits_.wait(lock, [this] { return !queue_.empty(); });
      const std::shared_ptr<Batch> batch = std::move(queue_.front());
      queue_.pop_front();
      waiting_ = queue_.size();
      lock.unlock();
      batch->work();
    }
  }

  std::mutex mutex_;
  std::condition_variable work_waits_;
  std::deque<std::shared_ptr<Batch>> queue_;
  std::atomic<std::size_t> waiting_{0};  // the queue's length, to be read without the mutex
  unsigned workers_ = 0;
};

std::atomic<Pool*> current_pool{nullptr};

// Never destroyed: its threads may still wait in it when the process ends.
Pool& pool() {
  static std::once_flag at_fork;
  // A forked child has none of the threads, and maybe a locked mutex: it gets a new pool.
  std::call_once(at_fork, [] { pthread_atfork(nullptr, nullptr, [] { current_pool = nullptr; }); });
  Pool* existing = current_pool.load();
  if (existing != nullptr) return *existing;
  auto fresh = std::make_unique<Pool>();
  if (current_pool.compare_exchange_strong(existing, fresh.get())) return *fresh.release();
  return *existing;
}

}  // namespace

unsigned core_count() { return std::max(1u, std::thread::hardware_concurrency()); }

void parallel_for(std::size_t count, unsigned threads,
                  const std::function<void(std::size_t)>& task) {
  if (threads <= 1 || count <= 1) {
    for (std::size_t item = 0; item < count; ++item) task(item);
    return;
  }
  const auto batch = std::make_shared<Batch>(count, task);
  const std::size_t helpers = std::min<std::size_t>(threads - 1, count - 1);
  try {
    pool().offer(batch, static_cast<unsigned>(helpers));
  } catch (const std::exception&) {
    // Without memory for the queue the caller does the work; batch must outlive who joined.
  }
  batch->work();
  batch->wait();
}

}  // namespace zebra
