// Dividing work over the threads that XLA lends, and how wide this processor's vectors are.

#ifndef STOCHCONV_JAX_PARALLEL_H_
#define STOCHCONV_JAX_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
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

    void take() {
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

// Returns the floats of the widest vectors to use, 16, 8 or 4: those that the processor has, at
// most those that XLA was told to use (XLA_FLAGS=--xla_cpu_max_isa=AVX2).
inline int widest_vector() {
#if defined(__x86_64__)
  const char* flags = std::getenv("XLA_FLAGS");
  const char* limit = flags ? std::strstr(flags, "--xla_cpu_max_isa=") : nullptr;
  limit = limit ? std::strchr(limit, '=') + 1 : "AVX512";
  const bool wide = std::strncmp(limit, "AVX512", 6) == 0 || std::strncmp(limit, "AMX", 3) == 0;
  if (wide && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")) return 16;
  if ((wide || std::strncmp(limit, "AVX2", 4) == 0) && __builtin_cpu_supports("avx2") &&
      __builtin_cpu_supports("fma"))
    return 8;
#endif
  return 4;
}

#endif  // STOCHCONV_JAX_PARALLEL_H_
