// The stochastic convolution and the gradient of its kernels on CPUs, as XLA calls them.
//
// ops/stochastic_conv.py has the equation, and the form in JAX that this one must equal. Here
// pixels are made floats in registers, once for two rows of a map or of the kernel, the next
// window's are asked for meanwhile, and maps are transposed to channels last, kKernels at a time,
// while they are in the cache, and written past it.

#include "stochastic_conv.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "parallel.h"
#include "targets.h"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

// Lets every thread see what this one has written past the caches.
INLINE void finish_streams() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

#if defined(__x86_64__)
BEGIN_TARGET(AVX512_FEATURES)
namespace lanes_16 {
constexpr int kLanes = 16;
INLINE void widen(const uint8_t* pixels, __m512& floats) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels));
  floats = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
}
INLINE void stream_aligned(const __m512& floats, float* to) { _mm512_stream_ps(to, floats); }
#include "stochastic_conv_loops.h"
}  // namespace lanes_16
END_TARGET
BEGIN_TARGET(AVX2_FEATURES)
namespace lanes_8 {
constexpr int kLanes = 8;
INLINE void widen(const uint8_t* pixels, __m256& floats) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels));
  floats = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}
INLINE void stream_aligned(const __m256& floats, float* to) { _mm256_stream_ps(to, floats); }
#include "stochastic_conv_loops.h"
}  // namespace lanes_8
END_TARGET
#endif
namespace lanes_4 {
constexpr int kLanes = 4;
template <typename V>
INLINE void widen(const uint8_t* pixels, V& floats) {
  for (int lane = 0; lane < kLanes; ++lane) floats[lane] = pixels[lane];
}
template <typename V>
INLINE void stream_aligned(const V& floats, float* to) {
  std::memcpy(to, &floats, sizeof(V));
}
#include "stochastic_conv_loops.h"
}  // namespace lanes_4

Geometry geometry_of(const ffi::AnyBuffer& planes, ffi::Span<const int64_t> kernel,
                     ffi::Span<const int64_t> out) {
  const auto p = planes.dimensions();
  return {p[0], p[1], p[2], p[3], p[4], p[5], kernel[0], kernel[1], kernel[3], out[1], out[2]};
}

template <typename Pixel>
void forward_of(ffi::ThreadPool& pool, const ffi::AnyBuffer& planes, const float* kernel,
                const int32_t* corners, float* out, const Geometry& g) {
  std::vector<float> weights(g.kernels * g.taps());
  for (int64_t k = 0; k < g.kernels; ++k)
    for (int64_t tap = 0; tap < g.taps(); ++tap)
      weights[k * g.taps() + tap] = kernel[tap * g.kernels + k];
  Operands<Pixel> operands = {g, planes.reinterpret_data<Pixel>(), corners};
  operands.weights = weights.data();
  operands.out = out;
  const auto unit = WIDEST(maps<Pixel>);
  parallel_for(pool, g.batch * g.row_blocks(), [&](int64_t number) { unit(operands, number); });
}

template <typename Pixel>
void gradient_of(ffi::ThreadPool& pool, const ffi::AnyBuffer& planes, const int32_t* corners,
                 const float* cotangent, float* out, const Geometry& g) {
  std::vector<float> sums(g.batch * g.kernels * g.taps());
  Operands<Pixel> operands = {g, planes.reinterpret_data<Pixel>(), corners};
  operands.cotangent = cotangent;
  operands.sums = sums.data();
  const auto unit = WIDEST(gradient<Pixel>);
  parallel_for(pool, g.batch * g.kernel_blocks(), [&](int64_t number) { unit(operands, number); });
  // Image after image, whichever thread had which: the same sum each time.
  std::fill_n(out, g.taps() * g.kernels, 0.0f);
  for (int64_t row = 0; row < g.batch * g.kernels; ++row)
    for (int64_t tap = 0; tap < g.taps(); ++tap)
      out[tap * g.kernels + row % g.kernels] += sums[row * g.taps() + tap];
}

ffi::Error forward(ffi::ThreadPool pool, ffi::AnyBuffer planes, ffi::Buffer<ffi::F32> kernel,
                   ffi::Buffer<ffi::S32> corners, ffi::Result<ffi::Buffer<ffi::F32>> out) {
  const Geometry geometry = geometry_of(planes, kernel.dimensions(), out->dimensions());
  const auto run = planes.element_type() == ffi::U8 ? forward_of<uint8_t> : forward_of<float>;
  run(pool, planes, kernel.typed_data(), corners.typed_data(), out->typed_data(), geometry);
  return ffi::Error::Success();
}

ffi::Error kernel_gradient(ffi::ThreadPool pool, ffi::AnyBuffer planes,
                           ffi::Buffer<ffi::S32> corners, ffi::Buffer<ffi::F32> cotangent,
                           ffi::Result<ffi::Buffer<ffi::F32>> out) {
  const Geometry geometry = geometry_of(planes, out->dimensions(), cotangent.dimensions());
  const auto run = planes.element_type() == ffi::U8 ? gradient_of<uint8_t> : gradient_of<float>;
  run(pool, planes, corners.typed_data(), cotangent.typed_data(), out->typed_data(), geometry);
  return ffi::Error::Success();
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(stochastic_conv, forward,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Arg<ffi::Buffer<ffi::S32>>()
                                  .Ret<ffi::Buffer<ffi::F32>>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(stochastic_conv_kernel_gradient, kernel_gradient,
                              ffi::Ffi::Bind()
                                  .Ctx<ffi::ThreadPool>()
                                  .Arg<ffi::AnyBuffer>()
                                  .Arg<ffi::Buffer<ffi::S32>>()
                                  .Arg<ffi::Buffer<ffi::F32>>()
                                  .Ret<ffi::Buffer<ffi::F32>>());
