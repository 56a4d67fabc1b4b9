// Depthwise convolutions and their gradients on CPUs, as XLA calls them.
//
// ops/depthwise_conv.py has the form in JAX that these must equal. Nothing is padded: taps outside
// the image are left out.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "parallel.h"
#include "targets.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

// Channels whose gradient one thread computes.
constexpr int64_t kGroup = 16;

struct Geometry {
  int64_t batch, height, width, channels;  // of the input
  int64_t taps, stride, top, left;         // of the kernel, along both axes
  int64_t out_height, out_width;
};

// A row of pixels and the row of a kernel that slides over it: tap j of output x meets pixel
// x * stride + first + j.
struct Line {
  const float* pixels;
  int64_t width, channels, first;
  const float* kernel;
  int64_t kernel_step;
};

#if defined(__x86_64__)
BEGIN_TARGET(AVX512_FEATURES)
namespace lanes_16 {
constexpr int kLanes = 16;
#include "depthwise_conv_loops.h"
}  // namespace lanes_16
END_TARGET
BEGIN_TARGET(AVX2_FEATURES)
namespace lanes_8 {
constexpr int kLanes = 8;
#include "depthwise_conv_loops.h"
}  // namespace lanes_8
END_TARGET
#endif
namespace lanes_4 {
constexpr int kLanes = 4;
#include "depthwise_conv_loops.h"
}  // namespace lanes_4

using Dimensions = ffi::Span<const int64_t>;

Geometry geometry_of(Dimensions x, Dimensions kernel, Dimensions out, int64_t stride, int64_t top,
                     int64_t left) {
  return {x[0], x[1], x[2], x[3], kernel[0], stride, top, left, out[1], out[2]};
}

ffi::Error forward(ffi::ThreadPool pool, ffi::Buffer<ffi::F32> x, ffi::Buffer<ffi::F32> kernel,
                   int64_t stride, int64_t top, int64_t left,
                   ffi::Result<ffi::Buffer<ffi::F32>> out) {
  const Geometry g =
      geometry_of(x.dimensions(), kernel.dimensions(), out->dimensions(), stride, top, left);
  const auto sum_lines = WIDEST(sum_lines);
  parallel_for(pool, g.batch * g.out_height, [&](int64_t unit) {
    const int64_t image = unit / g.out_height, y = unit % g.out_height;
    Line lines[5];
    int64_t count = 0;
    for (int64_t i = 0; i < g.taps; ++i) {
      const int64_t row = y * g.stride + i - g.top;
      if (row < 0 || row >= g.height) continue;
      lines[count++] = {x.typed_data() + (image * g.height + row) * g.width * g.channels,
                        g.width,
                        g.channels,
                        -g.left,
                        kernel.typed_data() + i * g.taps * g.channels,
                        g.channels};
    }
    float* to = out->typed_data() + unit * g.out_width * g.channels;
    if (count > 0)
      sum_lines(g.taps, g.stride, lines, count, g.out_width, to, g.channels);
    else
      std::fill_n(to, g.out_width * g.channels, 0.0f);
  });
  return ffi::Error::Success();
}

// Input row r met tap i of output row (r + top - i) / stride, where that is whole; so each phase of
// the rows and of the columns is a convolution of the cotangent with stride 1 and every stride-th
// tap, in reverse order.
ffi::Error input_gradient(ffi::ThreadPool pool, ffi::Buffer<ffi::F32> kernel,
                          ffi::Buffer<ffi::F32> cotangent, int64_t stride, int64_t top,
                          int64_t left, ffi::Result<ffi::Buffer<ffi::F32>> out) {
  const Geometry g = geometry_of(out->dimensions(), kernel.dimensions(), cotangent.dimensions(),
                                 stride, top, left);
  const auto sum_lines = WIDEST(sum_lines);
  parallel_for(pool, g.batch * g.height, [&](int64_t unit) {
    const int64_t image = unit / g.height, row = unit % g.height;
    float* to = out->typed_data() + unit * g.width * g.channels;
    for (int64_t phase = 0; phase < std::min(g.stride, g.width); ++phase) {
      // Of the taps that this phase of the columns met, the first and the last.
      const int64_t first = (phase + g.left) % g.stride;
      const int64_t taps = (g.taps - first + g.stride - 1) / g.stride;
      const int64_t last = first + (taps - 1) * g.stride;
      Line lines[5];
      int64_t count = 0;
      for (int64_t i = (row + g.top) % g.stride; i < g.taps; i += g.stride) {
        const int64_t y = (row + g.top - i) / g.stride;
        if (row + g.top < i || y >= g.out_height) continue;
        lines[count++] = {
            cotangent.typed_data() + (image * g.out_height + y) * g.out_width * g.channels,
            g.out_width,
            g.channels,
            (phase + g.left - last) / g.stride,
            kernel.typed_data() + (i * g.taps + last) * g.channels,
            -g.stride * g.channels};
      }
      const int64_t width = (g.width - phase + g.stride - 1) / g.stride;
      if (count > 0 && taps > 0)
        sum_lines(taps, 1, lines, count, width, to + phase * g.channels, g.stride * g.channels);
      else
        for (int64_t x = 0; x < width; ++x)
          std::fill_n(to + (phase + x * g.stride) * g.channels, g.channels, 0.0f);
    }
  });
  return ffi::Error::Success();
}

ffi::Error kernel_gradient(ffi::ThreadPool pool, ffi::Buffer<ffi::F32> x,
                           ffi::Buffer<ffi::F32> cotangent, int64_t stride, int64_t top,
                           int64_t left, ffi::Result<ffi::Buffer<ffi::F32>> out) {
  const Geometry g =
      geometry_of(x.dimensions(), out->dimensions(), cotangent.dimensions(), stride, top, left);
  const int64_t groups = (g.channels + kGroup - 1) / kGroup, size = g.taps * g.taps * g.channels;
  std::vector<float> parts(g.batch * size);
  const auto gradient = WIDEST(kernel_gradient);
  parallel_for(pool, g.batch * groups, [&](int64_t unit) {
    const int64_t image = unit / groups;
    gradient(g, x.typed_data() + image * g.height * g.width * g.channels,
             cotangent.typed_data() + image * g.out_height * g.out_width * g.channels,
             unit % groups * kGroup, parts.data() + image * size);
  });
  // Image after image, whichever thread had which: the same sum each time.
  std::fill_n(out->typed_data(), size, 0.0f);
  for (int64_t image = 0; image < g.batch; ++image)
    for (int64_t value = 0; value < size; ++value)
      out->typed_data()[value] += parts[image * size + value];
  return ffi::Error::Success();
}

auto binding() {
  return ffi::Ffi::Bind()
      .Ctx<ffi::ThreadPool>()
      .Arg<ffi::Buffer<ffi::F32>>()
      .Arg<ffi::Buffer<ffi::F32>>()
      .Attr<int64_t>("stride")
      .Attr<int64_t>("top")
      .Attr<int64_t>("left")
      .Ret<ffi::Buffer<ffi::F32>>();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(depthwise_conv, forward, binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(depthwise_conv_input_gradient, input_gradient, binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(depthwise_conv_kernel_gradient, kernel_gradient, binding());
