// BatchNorm with an activation, and its gradient, on CPUs, as XLA calls them.
//
// ops/batch_norm.py has the equations, and the form in JAX that these must equal.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include "parallel.h"
#include "targets.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

// As ops/native.py numbers them.
enum Activation : int64_t { kNone, kRelu, kRelu6, kSilu };

// Periods that are added up in registers.
constexpr int64_t kTogether = 4;
// Values that one thread takes at a time, and adds up one after the other.
constexpr int64_t kBlock = 1 << 15;
// Values of the widest vector.
constexpr int64_t kWidest = 16;

// What belongs to the channels: z = (x - mean) * slope + bias, and of the gradient
// (dz - mean_outer) * slope + (x - mean) * tilt.
struct Channels {
  const float *mean, *slope, *bias, *mean_outer, *tilt;
  int64_t period;
};

#if defined(__x86_64__)
BEGIN_TARGET(AVX512_FEATURES)
namespace lanes_16 {
constexpr int kLanes = 16;
#include "batch_norm_loops.h"
}  // namespace lanes_16
END_TARGET
BEGIN_TARGET(AVX2_FEATURES)
namespace lanes_8 {
constexpr int kLanes = 8;
#include "batch_norm_loops.h"
}  // namespace lanes_8
END_TARGET
#endif
namespace lanes_4 {
constexpr int kLanes = 4;
#include "batch_norm_loops.h"
}  // namespace lanes_4

using Floats = ffi::Buffer<ffi::F32>;
using Result = ffi::Result<Floats>;

#define FOR_ACTIVATION(activation, function)         \
  (activation == kRelu    ? WIDEST(function<kRelu>)  \
   : activation == kRelu6 ? WIDEST(function<kRelu6>) \
   : activation == kSilu  ? WIDEST(function<kSilu>)  \
                          : WIDEST(function<kNone>))

// The rows of [N, C] in blocks, which are the same however many threads there are.
struct Blocks {
  int64_t values, channels, period, size;

  explicit Blocks(const Floats& x)
      : values(x.element_count()),
        channels(std::max<int64_t>(x.dimensions()[1], 1)),
        period(std::lcm(channels, kWidest)),
        size(std::max<int64_t>(kBlock / (kTogether * period), 1) * kTogether * period) {}

  int64_t count() const { return (values + size - 1) / size; }

  int64_t size_of(int64_t block) const { return std::min(size, values - block * size); }
};

// Rows of a value for each channel, each row repeated to fill a period.
class Repeated {
 public:
  Repeated(const Floats& rows, const Blocks& blocks) : period_(blocks.period) {
    const int64_t count = rows.dimensions()[0], channels = rows.dimensions()[1];
    values_.resize(count * period_);
    for (int64_t row = 0; row < count && channels > 0; ++row)
      for (int64_t begin = 0; begin < period_; begin += channels)
        std::copy_n(rows.typed_data() + row * channels, channels,
                    values_.data() + row * period_ + begin);
  }

  Channels channels() const {
    const float* first = values_.data();
    return {first,  first + period_, first + 2 * period_, first + 3 * period_, first + 4 * period_,
            period_};
  }

 private:
  int64_t period_;
  std::vector<float> values_;
};

// out[0, c] and out[1, c] become the two sums of channel c; add(block, sums, products) adds those
// of a block, for every place of a period.
template <typename Add>
void sum_blocks(ffi::ThreadPool& pool, const Blocks& blocks, const Add& add, float* out) {
  const int64_t period = blocks.period;
  std::vector<float> parts(blocks.count() * 2 * period);
  parallel_for(pool, blocks.count(), [&](int64_t block) {
    float* part = parts.data() + block * 2 * period;
    add(block, part, part + period);
  });
  std::fill_n(out, 2 * blocks.channels, 0.0f);
  for (int64_t part = 0; part < 2 * blocks.count(); ++part)
    for (int64_t place = 0; place < period; ++place)
      out[part % 2 * blocks.channels + place % blocks.channels] += parts[part * period + place];
}

ffi::Error sums(ffi::ThreadPool pool, Floats x, Result out) {
  const Blocks blocks(x);
  const auto add_powers = WIDEST(add_powers);
  const auto add = [&](int64_t block, float* sums, float* squares) {
    add_powers(blocks.period, x.typed_data() + block * blocks.size, blocks.size_of(block), sums,
               squares);
  };
  sum_blocks(pool, blocks, add, out->typed_data());
  return ffi::Error::Success();
}

ffi::Error forward(ffi::ThreadPool pool, Floats x, Floats channels, int64_t activation,
                   Result out) {
  const Blocks blocks(x);
  const Repeated repeated(channels, blocks);
  const auto normalise = FOR_ACTIVATION(activation, normalise);
  parallel_for(pool, blocks.count(), [&](int64_t block) {
    const int64_t at = block * blocks.size;
    normalise(repeated.channels(), x.typed_data() + at, blocks.size_of(block),
              out->typed_data() + at);
  });
  return ffi::Error::Success();
}

ffi::Error gradient_sums(ffi::ThreadPool pool, Floats x, Floats cotangent, Floats channels,
                         int64_t activation, Result out) {
  const Blocks blocks(x);
  const Repeated repeated(channels, blocks);
  const auto add_products = FOR_ACTIVATION(activation, add_products);
  const auto add = [&](int64_t block, float* sums, float* products) {
    const int64_t at = block * blocks.size;
    add_products(repeated.channels(), x.typed_data() + at, cotangent.typed_data() + at,
                 blocks.size_of(block), sums, products);
  };
  sum_blocks(pool, blocks, add, out->typed_data());
  return ffi::Error::Success();
}

ffi::Error gradient(ffi::ThreadPool pool, Floats x, Floats cotangent, Floats channels,
                    int64_t activation, Result out) {
  const Blocks blocks(x);
  const Repeated repeated(channels, blocks);
  const auto input_gradient = FOR_ACTIVATION(activation, input_gradient);
  parallel_for(pool, blocks.count(), [&](int64_t block) {
    const int64_t at = block * blocks.size;
    input_gradient(repeated.channels(), x.typed_data() + at, cotangent.typed_data() + at,
                   blocks.size_of(block), out->typed_data() + at);
  });
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(batch_norm_sums, sums,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Floats>().Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(batch_norm, forward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Attr<int64_t>("activation")
                                  .Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(batch_norm_gradient_sums, gradient_sums,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Attr<int64_t>("activation")
                                  .Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(batch_norm_gradient, gradient,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Arg<Floats>()
                                  .Attr<int64_t>("activation")
                                  .Ret<Floats>());
