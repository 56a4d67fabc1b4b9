// Dividing work over the threads that XLA lends.

#ifndef STOCHCONV_JAX_PARALLEL_H_
#define STOCHCONV_JAX_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

#include "xla/ffi/api/ffi.h"

// Calls work(unit) for every unit from 0 to count, on this thread and those of the pool.
//
// This thread takes units as the others do, so that all is done even where every other thread
// waits, as this one, for a pool that is full.
template <typename Work>
void parallel_for(xla::ffi::ThreadPool& pool, int64_t count, const Work& work) {
  struct Shared {
    const Work* work;
    int64_t count;
    std::atomic<int64_t> next{0};
    int64_t done = 0;
    std::mutex mutex;
    std::condition_variable all_done;

    // What a unit throws ends the program: others would go on with what this thread leaves.
    void take() noexcept {
      int64_t taken = 0;
      for (int64_t unit; (unit = next.fetch_add(1)) < count; ++taken) (*work)(unit);
      if (taken == 0) return;
      std::lock_guard<std::mutex> lock(mutex);
      done += taken;
      if (done == count) all_done.notify_one();
    }
  };
  // Threads that come too late find nothing left, but they still look.
  auto shared = std::make_shared<Shared>();
  shared->work = &work;
  shared->count = count;
  const int64_t others = std::min(count, pool.num_threads()) - 1;
  for (int64_t thread = 0; thread < others; ++thread) pool.Schedule([shared] { shared->take(); });
  shared->take();
  std::unique_lock<std::mutex> lock(shared->mutex);
  shared->all_done.wait(lock, [&] { return shared->done == count; });
}

#endif  // STOCHCONV_JAX_PARALLEL_H_
