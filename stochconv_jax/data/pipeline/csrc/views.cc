// What a network sees of an image, in one pass over it: a view is interpolated in strips, and each
// becomes planes and rows of the small image while it is in the cache.
//
// data/pipeline/native.py calls this. The forms by OpenCV, which run where it was not built and
// which this one must equal, are in interpolation.py, shrink.py and views.py.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>

#include "image.h"
#include "shrinking.h"
#include "targets.h"

// Pixels are taken apart as whole numbers.
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bytes lie in another order");

namespace {

// Pixels whose places are found together.
constexpr int kBlock = 16;
// Columns of a tile of a view, and rows of a strip.
constexpr int64_t kTile = 64;
// Pixels of a rectangle that is too large for the cache.
constexpr int64_t kFar = 8 * kTile * kTile;
// Bytes of a line of the cache.
constexpr int64_t kLine = 64;

#if defined(__x86_64__)
BEGIN_TARGET(AVX512_FEATURES)
namespace lanes_16 {
INLINE long long eight_bytes(const uint8_t* from) {
  long long bytes;
  std::memcpy(&bytes, from, 8);
  return bytes;
}

// The sums of four pixels, each in a quarter; kRepeat gives each its weights.
//
// Eight bytes are read for two neighbours of three, the lower ones' from two before them, so that
// none is read beside the image.
template <int kRepeat>
INLINE __m512i four_pixels(const Image& image, const uint32_t* first, __m512i upper,
                           __m512i lower) {
  const uint8_t *high = image.pixels, *low = high + image.pitch() - 2;
  __m512i bytes = _mm512_set1_epi64(eight_bytes(high + first[0]));
  bytes = _mm512_mask_set1_epi64(bytes, 1 << 1, eight_bytes(low + first[0]));
  bytes = _mm512_mask_set1_epi64(bytes, 1 << 2, eight_bytes(high + first[4]));
  bytes = _mm512_mask_set1_epi64(bytes, 1 << 3, eight_bytes(low + first[4]));
  bytes = _mm512_mask_set1_epi64(bytes, 1 << 4, eight_bytes(high + first[8]));
  bytes = _mm512_mask_set1_epi64(bytes, 1 << 5, eight_bytes(low + first[8]));
  bytes = _mm512_mask_set1_epi64(bytes, 1 << 6, eight_bytes(high + first[12]));
  bytes = _mm512_mask_set1_epi64(bytes, 1 << 7, eight_bytes(low + first[12]));
  const __m512i above = _mm512_broadcast_i32x4(
      _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
  const __m512i below = _mm512_broadcast_i32x4(
      _mm_setr_epi8(10, -1, 13, -1, 11, -1, 14, -1, 12, -1, 15, -1, -1, -1, -1, -1));
  constexpr auto kWeights = static_cast<_MM_PERM_ENUM>(kRepeat);
  const __m512i sum = _mm512_add_epi32(
      _mm512_madd_epi16(_mm512_shuffle_epi8(bytes, above), _mm512_shuffle_epi32(upper, kWeights)),
      _mm512_madd_epi16(_mm512_shuffle_epi8(bytes, below), _mm512_shuffle_epi32(lower, kWeights)));
  return _mm512_srli_epi32(_mm512_add_epi32(sum, _mm512_set1_epi32(1 << 13)), 14);
}

INLINE void blend(const Image& image, const uint32_t* first, const uint32_t* upper,
                  const uint32_t* lower, uint8_t* out) {
  const __m512i above = _mm512_loadu_si512(upper), below = _mm512_loadu_si512(lower);
  const __m512i a = four_pixels<0x00>(image, first, above, below);
  const __m512i b = four_pixels<0x55>(image, first + 1, above, below);
  const __m512i c = four_pixels<0xaa>(image, first + 2, above, below);
  const __m512i d = four_pixels<0xff>(image, first + 3, above, below);
  const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
  _mm512_storeu_si512(out, bytes);
}

#include "fourth_byte.h"
#include "interpolation_loops.h"
#include "views_loops.h"
}  // namespace lanes_16
END_TARGET
BEGIN_TARGET(AVX2_FEATURES)
namespace lanes_8 {
INLINE __m128i one_pixel(const uint8_t* high, const uint8_t* low, int upper, int lower) {
  const auto load = [](const uint8_t* from) __attribute__((always_inline)) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  };
  const __m128i above = _mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1);
  // Eight bytes are read for two neighbours of three, the lower ones' from two before them.
  const __m128i below = _mm_setr_epi8(2, -1, 5, -1, 3, -1, 6, -1, 4, -1, 7, -1, -1, -1, -1, -1);
  const __m128i sum =
      _mm_add_epi32(_mm_madd_epi16(_mm_shuffle_epi8(load(high), above), _mm_set1_epi32(upper)),
                    _mm_madd_epi16(_mm_shuffle_epi8(load(low - 2), below), _mm_set1_epi32(lower)));
  return _mm_srli_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << 13)), 14);
}

INLINE void blend(const Image& image, const uint32_t* first, const uint32_t* upper,
                  const uint32_t* lower, uint8_t* out) {
#pragma GCC unroll 4
  for (int i = 0; i < kBlock; i += 4) {
    __m128i sums[4];
#pragma GCC unroll 4
    for (int j = i; j < i + 4; ++j) {
      const uint8_t* high = image.pixels + first[j];
      sums[j - i] = one_pixel(high, high + image.pitch(), upper[j], lower[j]);
    }
    const __m128i bytes =
        _mm_packus_epi16(_mm_packs_epi32(sums[0], sums[1]), _mm_packs_epi32(sums[2], sums[3]));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 4 * i), bytes);
  }
}

#include "fourth_byte.h"
#include "interpolation_loops.h"
#include "views_loops.h"
}  // namespace lanes_8
END_TARGET
#endif
namespace lanes_4 {
INLINE void blend(const Image& image, const uint32_t* first, const uint32_t* upper,
                  const uint32_t* lower, uint8_t* out) {
  // The four neighbours of each pixel. Four bytes are read for three, all but the first's from one
  // before them, so that none is read beside the image.
  uint32_t neighbours[4][kBlock], blended[kBlock];
  for (int i = 0; i < kBlock; ++i) {
    const uint8_t *high = image.pixels + first[i], *low = high + image.pitch();
    std::memcpy(&neighbours[0][i], high, 4);
    std::memcpy(&neighbours[1][i], high + 2, 4);
    std::memcpy(&neighbours[2][i], low - 1, 4);
    std::memcpy(&neighbours[3][i], low + 2, 4);
  }
  for (int i = 0; i < kBlock; ++i) {
    const auto sum = [&](int bits) __attribute__((always_inline)) {
      const auto level = [&](int of, int at) __attribute__((always_inline)) {
        return neighbours[of][i] >> at & 0xff;
      };
      return (level(0, bits) * (upper[i] & 0xffff) + level(1, bits + 8) * (upper[i] >> 16) +
              level(2, bits + 8) * (lower[i] & 0xffff) + level(3, bits + 8) * (lower[i] >> 16) +
              (1 << 13)) >>
             14;
    };
    blended[i] = sum(0) | sum(8) << 8 | sum(16) << 16;
  }
  std::memcpy(out, blended, sizeof(blended));
}

INLINE void add_fourth(const uint8_t* from, uint8_t* out) {
  for (int pixel = 0; pixel < 4; ++pixel) std::memcpy(out + 4 * pixel, from + 3 * pixel, 4);
}

INLINE void drop_fourth(const uint8_t* from, uint8_t* out) {
  for (int pixel = 0; pixel < 4; ++pixel) std::memcpy(out + 3 * pixel, from + 4 * pixel, 4);
}

#include "interpolation_loops.h"
#include "views_loops.h"
}  // namespace lanes_4

}  // namespace

extern "C" {

// Writes the view of an image along a map, both uint8 [height, width, 3]; interpolation.py has the
// equation. Sides are 2 to 16384, and the image has less than 2^31 bytes.
void interpolate(const uint8_t* pixels, int64_t height, int64_t width, const double* to_source,
                 uint8_t* out) {
  const Image image = {pixels, height, width};
  WIDEST(interpolate)(image, Map(to_source, image), out);
}

// Writes what a network sees of the part of an image, or where to_source is not null of its view,
// that begins at (top, left): low [low_height, low_width, 3], which is not larger, and where it is
// not null planes [rows, columns, 3, part_height / rows, part_width / columns].
void write_views(const uint8_t* pixels, int64_t height, int64_t width, const double* to_source,
                 int64_t top, int64_t left, int64_t part_height, int64_t part_width, uint8_t* low,
                 int64_t low_height, int64_t low_width, uint8_t* planes, int64_t rows,
                 int64_t columns) {
  const Image image = {pixels, height, width};
  const std::unique_ptr<Map> map(to_source ? new Map(to_source, image) : nullptr);
  Shrinking shrinking(part_height, part_width, low_height, low_width, low);
  WIDEST(write_views)
  (image, map.get(), {top, left, part_height, part_width},
   {planes, rows, columns, part_height / rows, part_width / columns}, shrinking);
}
}
