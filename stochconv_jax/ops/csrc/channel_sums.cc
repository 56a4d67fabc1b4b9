// The sums over rows that BatchNorm and its gradient need, in one pass, as XLA calls them.
//
// ops/batch_norm.py has the equation, and the form in JAX that this one must equal.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "parallel.h"
#include "targets.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

// Rows that are added up in registers.
constexpr int64_t kTogether = 4;
// Values that are added up one after the other, before such sums are.
constexpr int64_t kBlock = 1 << 15;

#if defined(__x86_64__)
BEGIN_TARGET(AVX512_FEATURES)
namespace lanes_16 {
#include "channel_sums_loops.h"
}  // namespace lanes_16
END_TARGET
BEGIN_TARGET(AVX2_FEATURES)
namespace lanes_8 {
#include "channel_sums_loops.h"
}  // namespace lanes_8
END_TARGET
#endif
namespace lanes_4 {
#include "channel_sums_loops.h"
}  // namespace lanes_4

ffi::Error sums(ffi::ThreadPool pool, ffi::Buffer<ffi::F32> x, ffi::Buffer<ffi::F32> y,
                ffi::Buffer<ffi::F32> shift, ffi::Result<ffi::Buffer<ffi::F32>> out) {
  const int64_t rows = x.dimensions()[0], channels = x.dimensions()[1];
  // The blocks are the same however many threads there are, and so is their sum.
  const int64_t block = std::max<int64_t>(kBlock / std::max<int64_t>(channels, 1), kTogether);
  const int64_t blocks = (rows + block - 1) / block;
  std::vector<float> parts(blocks * 2 * channels);
  const auto add_rows = WIDEST(add_rows);
  parallel_for(pool, blocks, [&](int64_t number) {
    const int64_t first = number * block * channels;
    float* part = parts.data() + number * 2 * channels;
    add_rows(x.typed_data() + first, y.typed_data() + first, shift.typed_data(),
             std::min(block, rows - number * block), channels, part, part + channels);
  });
  float* total = out->typed_data();
  std::fill_n(total, 2 * channels, 0.0f);
  for (int64_t number = 0; number < blocks; ++number)
    for (int64_t c = 0; c < 2 * channels; ++c) total[c] += parts[number * 2 * channels + c];
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(channel_sums, sums,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Ret<ffi::Buffer<ffi::F32>>());
