// The loops of depthwise convolutions; depthwise_conv.cc includes this once for each width of
// vectors. A vector holds neighbouring channels of one pixel.

#include "vector_loops.h"

// Calls work(Vector{}, channel) for whole vectors of channels and work(float{}, channel) for
// others.
template <typename Work>
INLINE void for_channels(int64_t channels, const Work& work) {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) work(Vector{}, c);
  for (; c < channels; ++c) work(float{}, c);
}

// kPixels neighbouring pixels of a line, with all taps inside: each pixel that is read is used for
// every tap that meets it.
template <int kTaps, int kStride, int kPixels, typename V>
INLINE void whole_pixels(const Line* lines, int64_t count, int64_t x, int64_t c, float* out,
                         int64_t out_step) {
  const int64_t channels = lines[0].channels;
  V sums[kPixels] = {}, taps[kTaps], pixel;
  for (int64_t n = 0; n < count; ++n) {
    const Line& line = lines[n];
    for (int j = 0; j < kTaps; ++j) load(line.kernel + j * line.kernel_step + c, taps[j]);
    const float* from = line.pixels + (x * kStride + line.first) * channels + c;
#pragma GCC unroll 16
    for (int p = 0; p < (kPixels - 1) * kStride + kTaps; ++p) {
      load(from + p * channels, pixel);
#pragma GCC unroll 16
      for (int o = 0; o < kPixels; ++o)
        if (p - o * kStride >= 0 && p - o * kStride < kTaps)
          sums[o] += pixel * taps[p - o * kStride];
    }
  }
  for (int o = 0; o < kPixels; ++o) store(sums[o], out + (x + o) * out_step + c);
}

// A pixel some of whose taps lie outside.
template <int kTaps, int kStride, typename V>
INLINE void edge_pixel(const Line* lines, int64_t count, int64_t x, int64_t c, float* out,
                       int64_t out_step) {
  V sum = {}, tap, pixel;
  for (int64_t n = 0; n < count; ++n)
    for (int j = 0; j < kTaps; ++j) {
      const int64_t at = x * kStride + lines[n].first + j;
      if (at < 0 || at >= lines[n].width) continue;
      load(lines[n].kernel + j * lines[n].kernel_step + c, tap);
      load(lines[n].pixels + at * lines[n].channels + c, pixel);
      sum += pixel * tap;
    }
  store(sum, out + x * out_step + c);
}

// A row of an output: the sum of `count` lines, each a row of the input with a row of a kernel.
template <int kTaps, int kStride>
INLINE void add_lines(const Line* lines, int64_t count, int64_t width, float* out,
                      int64_t out_step) {
  constexpr int kPixels = 4;
  const int64_t channels = lines[0].channels, first = lines[0].first;
  // From the first pixel whose taps all lie inside to behind the last.
  const int64_t begin = std::min(width, first >= 0 ? 0 : (-first + kStride - 1) / kStride);
  const int64_t room = lines[0].width - first - kTaps;
  const int64_t end = std::max(begin, std::min(width, room < 0 ? 0 : room / kStride + 1));
  int64_t x = 0;
  const auto edges_to = [&](int64_t last) __attribute__((always_inline)) {
    for (; x < last; ++x)
      for_channels(
          channels, [&](auto v, int64_t c) __attribute__((always_inline)) {
            edge_pixel<kTaps, kStride, decltype(v)>(lines, count, x, c, out, out_step);
          });
  };
  edges_to(begin);
  for (; x + kPixels <= end; x += kPixels)
    for_channels(
        channels, [&](auto v, int64_t c) __attribute__((always_inline)) {
          whole_pixels<kTaps, kStride, kPixels, decltype(v)>(lines, count, x, c, out, out_step);
        });
  for (; x < end; ++x)
    for_channels(
        channels, [&](auto v, int64_t c) __attribute__((always_inline)) {
          whole_pixels<kTaps, kStride, 1, decltype(v)>(lines, count, x, c, out, out_step);
        });
  edges_to(width);
}

void sum_lines(int64_t taps, int64_t stride, const Line* lines, int64_t count, int64_t width,
               float* out, int64_t out_step) {
  if (taps == 1 && stride == 1) return add_lines<1, 1>(lines, count, width, out, out_step);
  if (taps == 2 && stride == 1) return add_lines<2, 1>(lines, count, width, out, out_step);
  if (taps == 3 && stride == 1) return add_lines<3, 1>(lines, count, width, out, out_step);
  if (taps == 5 && stride == 1) return add_lines<5, 1>(lines, count, width, out, out_step);
  if (taps == 3 && stride == 2) return add_lines<3, 2>(lines, count, width, out, out_step);
  if (taps == 5 && stride == 2) return add_lines<5, 2>(lines, count, width, out, out_step);
}

// Adds to sums[j] the products of a row of a cotangent with the pixels that tap j met.
template <int kTaps, typename V>
INLINE void add_products(const float* pixels, int64_t first, int64_t width, int64_t stride,
                         const float* cotangent, int64_t out_width, int64_t channels, V* sums) {
  V totals[kTaps], outer, pixel;
  for (int j = 0; j < kTaps; ++j) totals[j] = sums[j];
  for (int64_t x = 0; x < out_width; ++x) {
    load(cotangent + x * channels, outer);
    const int64_t at = x * stride + first;
    if (at >= 0 && at + kTaps <= width)
      for (int j = 0; j < kTaps; ++j) {
        load(pixels + (at + j) * channels, pixel);
        totals[j] += outer * pixel;
      }
    else
      for (int j = 0; j < kTaps; ++j)
        if (at + j >= 0 && at + j < width) {
          load(pixels + (at + j) * channels, pixel);
          totals[j] += outer * pixel;
        }
  }
  for (int j = 0; j < kTaps; ++j) sums[j] = totals[j];
}

// The gradient in the kernel of one image and one vector of channels from c on.
template <int kTaps, typename V>
INLINE void image_gradient(const Geometry& g, const float* image, const float* cotangent, int64_t c,
                           float* out) {
  V sums[kTaps * kTaps] = {};
  for (int64_t y = 0; y < g.out_height; ++y)
    for (int64_t i = 0; i < kTaps; ++i) {
      const int64_t row = y * g.stride + i - g.top;
      if (row < 0 || row >= g.height) continue;
      add_products<kTaps>(image + row * g.width * g.channels + c, -g.left, g.width, g.stride,
                          cotangent + y * g.out_width * g.channels + c, g.out_width, g.channels,
                          sums + i * kTaps);
    }
  for (int tap = 0; tap < kTaps * kTaps; ++tap) store(sums[tap], out + tap * g.channels + c);
}

// That of all channels of a group of kGroup.
void kernel_gradient(const Geometry& g, const float* image, const float* cotangent, int64_t first,
                     float* out) {
  const int64_t last = std::min(first + kGroup, g.channels);
  for_channels(
      last - first, [&](auto v, int64_t c) __attribute__((always_inline)) {
        if (g.taps == 3)
          image_gradient<3, decltype(v)>(g, image, cotangent, first + c, out);
        else
          image_gradient<5, decltype(v)>(g, image, cotangent, first + c, out);
      });
}
