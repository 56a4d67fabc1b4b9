// BatchNorm with an activation, and its gradient, on CPUs, as XLA calls them.
//
// ops/batch_norm_passes.py has the equations, and the form in JAX that these must equal.

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

// What belongs to the channels of an image: y = f(z), z = (x - mean) * slope + bias, out = y *
// gate, and backward dy = cotangent * gate + added, dz = dy * f'(z), and dx = (dz - mean_outer) *
// slope + (x - mean) * tilt.
struct Channels {
  int64_t period;
  const float *mean, *slope, *bias, *mean_outer, *tilt, *gate, *added;
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

// A function of the loops for an activation, as this processor is to run it.
#define FOR_ACTIVATION(activation, function)         \
  (activation == kRelu    ? WIDEST(function<kRelu>)  \
   : activation == kRelu6 ? WIDEST(function<kRelu6>) \
   : activation == kSilu  ? WIDEST(function<kSilu>)  \
                          : WIDEST(function<kNone>))

// The rows of [images, rows, channels] in blocks of one image each, which are the same however many
// threads there are.
struct Blocks {
  int64_t images, values, channels, period, size;

  explicit Blocks(const Floats& x)
      : images(x.dimensions()[0]),
        values(x.dimensions()[1] * x.dimensions()[2]),
        channels(std::max<int64_t>(x.dimensions()[2], 1)),
        period(std::lcm(channels, kWidest)),
        size(std::max<int64_t>(kBlock / (kTogether * period), 1) * kTogether * period) {}

  int64_t of_image() const { return (values + size - 1) / size; }

  // Calls work(block, image, at, count) for each: `count` values from `at` on.
  template <typename Work>
  void for_each(ffi::ThreadPool& pool, const Work& work) const {
    parallel_for(pool, images * of_image(), [&](int64_t block) {
      const int64_t image = block / of_image(), within = block % of_image() * size;
      work(block, image, image * values + within, std::min(size, values - within));
    });
  }
};

// The rows of some values of the channels, [count, C] or [images, count, C], each repeated to fill
// a period.
class Repeated {
 public:
  Repeated(const Floats& rows, const Blocks& blocks) : period_(blocks.period) {
    const int64_t channels = blocks.channels, count = rows.element_count() / channels;
    values_.resize(count * period_);
    for (int64_t row = 0; row < count; ++row)
      for (int64_t begin = 0; begin < period_; begin += channels)
        std::copy_n(rows.typed_data() + row * channels, channels,
                    values_.data() + row * period_ + begin);
  }

  // Null for a row that was not given.
  const float* row(int64_t number) const {
    const size_t at = number * period_;
    return at < values_.size() ? values_.data() + at : nullptr;
  }

 private:
  int64_t period_;
  std::vector<float> values_;
};

// The channels of every image; `gates` [images, count, C] holds nothing, the gates, or those and
// what is added to the cotangents.
class AllChannels {
 public:
  AllChannels(const Floats& channels, const Floats& gates, const Blocks& blocks)
      : period_(blocks.period),
        each_(gates.dimensions()[1]),
        channels_(channels, blocks),
        gates_(gates, blocks) {}

  bool gated() const { return each_ > 0; }

  Channels of_image(int64_t image) const {
    return {period_,
            channels_.row(0),
            channels_.row(1),
            channels_.row(2),
            channels_.row(3),
            channels_.row(4),
            gates_.row(image * each_),
            gates_.row(image * each_ + 1)};
  }

 private:
  int64_t period_, each_;
  Repeated channels_, gates_;
};

// out[image, term, c] becomes a term's sum over the rows of an image; add(image, at, count, sums)
// adds those of a block, for every place of a period.
template <typename Add>
void sum_blocks(ffi::ThreadPool& pool, const Blocks& blocks, const Add& add, Result& out) {
  const int64_t terms = out->dimensions()[1], period = blocks.period;
  std::vector<float> parts(blocks.images * blocks.of_image() * terms * period);
  blocks.for_each(pool, [&](int64_t block, int64_t image, int64_t at, int64_t count) {
    add(image, at, count, parts.data() + block * terms * period);
  });
  std::fill_n(out->typed_data(), out->element_count(), 0.0f);
  const float* part = parts.data();
  for (int64_t block = 0; block < blocks.images * blocks.of_image(); ++block)
    for (int64_t term = 0; term < terms; ++term, part += period) {
      float* sums =
          out->typed_data() + (block / blocks.of_image() * terms + term) * blocks.channels;
      for (int64_t begin = 0; begin < period; begin += blocks.channels)
        for (int64_t c = 0; c < blocks.channels; ++c) sums[c] += part[begin + c];
    }
}

ffi::Error powers(ffi::ThreadPool pool, Floats x, Result out) {
  const Blocks blocks(x);
  const auto add_powers = WIDEST(add_powers);
  const auto add = [&](int64_t, int64_t at, int64_t count, float* sums) {
    add_powers(blocks.period, x.typed_data() + at, count, sums);
  };
  sum_blocks(pool, blocks, add, out);
  return ffi::Error::Success();
}

ffi::Error activated_sums(ffi::ThreadPool pool, Floats x, Floats channels, Floats gates,
                          int64_t activation, Result out) {
  const Blocks blocks(x);
  const AllChannels all(channels, gates, blocks);
  const auto add_activated = FOR_ACTIVATION(activation, add_activated);
  const auto add = [&](int64_t image, int64_t at, int64_t count, float* sums) {
    add_activated(all.of_image(image), x.typed_data() + at, count, sums);
  };
  sum_blocks(pool, blocks, add, out);
  return ffi::Error::Success();
}

ffi::Error gradient_sums(ffi::ThreadPool pool, Floats x, Floats channels, Floats gates,
                         Floats cotangent, int64_t activation, Result out) {
  const Blocks blocks(x);
  const AllChannels all(channels, gates, blocks);
  const auto add_products = all.gated() ? FOR_ACTIVATION(activation, add_gated_products)
                                        : FOR_ACTIVATION(activation, add_products);
  const auto add = [&](int64_t image, int64_t at, int64_t count, float* sums) {
    add_products(all.of_image(image), x.typed_data() + at, cotangent.typed_data() + at, count,
                 sums);
  };
  sum_blocks(pool, blocks, add, out);
  return ffi::Error::Success();
}

ffi::Error forward(ffi::ThreadPool pool, Floats x, Floats channels, Floats gates,
                   int64_t activation, Result out) {
  const Blocks blocks(x);
  const AllChannels all(channels, gates, blocks);
  const auto normalise =
      all.gated() ? FOR_ACTIVATION(activation, gated) : FOR_ACTIVATION(activation, ungated);
  blocks.for_each(pool, [&](int64_t, int64_t image, int64_t at, int64_t count) {
    normalise(all.of_image(image), x.typed_data() + at, count, out->typed_data() + at);
  });
  return ffi::Error::Success();
}

ffi::Error gradient(ffi::ThreadPool pool, Floats x, Floats channels, Floats gates, Floats cotangent,
                    int64_t activation, Result out) {
  const Blocks blocks(x);
  const AllChannels all(channels, gates, blocks);
  const auto input_gradient = all.gated() ? FOR_ACTIVATION(activation, gated_gradient)
                                          : FOR_ACTIVATION(activation, ungated_gradient);
  blocks.for_each(pool, [&](int64_t, int64_t image, int64_t at, int64_t count) {
    input_gradient(all.of_image(image), x.typed_data() + at, cotangent.typed_data() + at, count,
                   out->typed_data() + at);
  });
  return ffi::Error::Success();
}

auto binding() {
  return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Floats>().Arg<Floats>().Arg<Floats>();
}

auto gradient_binding() {
  return binding().Arg<Floats>().Attr<int64_t>("activation").Ret<Floats>();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(batch_norm_power_sums, powers,
                              ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Floats>().Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(batch_norm_activated_sums, activated_sums,
                              binding().Attr<int64_t>("activation").Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(batch_norm_activated, forward,
                              binding().Attr<int64_t>("activation").Ret<Floats>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(batch_norm_gradient_sums, gradient_sums, gradient_binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(batch_norm_input_gradient, gradient, gradient_binding());
