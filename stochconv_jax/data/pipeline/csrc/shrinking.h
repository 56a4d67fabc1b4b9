// What shrinking an image keeps between its rows.

#ifndef STOCHCONV_JAX_SHRINKING_H_
#define STOCHCONV_JAX_SHRINKING_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

// Equal lengths of a side: the first pixel of each, and what it and those behind it weigh.
//
// As in exporting/small_image.py, and so as in OpenCV's INTER_AREA.
struct Areas {
  std::vector<int32_t> first;
  std::vector<float> weights;  // [areas, taps], 0 for taps that an area does not need
  int64_t taps;

  // Divides `length` pixels into `count` areas of weights that sum to 1, or with `whole` of ones.
  Areas(int64_t length, int64_t count, bool whole)
      : first(count), taps((length + count - 1) / count + 1) {
    weights.resize(count * taps);
    const double scale = static_cast<double>(length) / count;
    for (int64_t area = 0; area < count; ++area) {
      const double begin = area * scale, end = (area + 1) * scale;
      int64_t tap = 0;
      for (int64_t pixel = begin; pixel < std::min<double>(std::ceil(end), length); ++pixel) {
        const double share = std::min(end, pixel + 1.0) - std::max<double>(begin, pixel);
        if (share <= 1e-3) continue;  // OpenCV leaves it out
        if (tap == 0) first[area] = pixel;
        weights[area * taps + tap++] = whole ? 1 : share / scale;
      }
    }
  }
};

struct Shrinking {
  int64_t halvings = 0;  // before the areas are summed
  int64_t width;         // of the rows that are added
  float scale = 1;       // of the sums
  Areas across, down;
  std::vector<float> floats, means, sums;
  std::vector<uint8_t> pixels;
  uint8_t* out;
  int64_t row = 0, area = 0;

  // Begins to shrink an image that is not smaller than the result.
  Shrinking(int64_t height, int64_t width, int64_t small_height, int64_t small_width, uint8_t* out)
      : Shrinking(halvings_of(height, width, small_height, small_width), height, width,
                  small_height, small_width, out) {}

 private:
  Shrinking(int64_t halvings, int64_t height, int64_t width, int64_t small_height,
            int64_t small_width, uint8_t* out)
      : Shrinking(
            halvings, height >> halvings, width >> halvings, small_height, small_width,
            (height >> halvings) % small_height == 0 && (width >> halvings) % small_width == 0,
            out) {}

  Shrinking(int64_t halvings, int64_t height, int64_t width, int64_t small_height,
            int64_t small_width, bool whole, uint8_t* out)
      : halvings(halvings),
        width(width),
        across(width, small_width, whole),
        down(height, small_height, whole),
        floats(4 * (width + across.taps)),
        means(4 * small_width),
        sums(4 * small_width),
        pixels(4 * small_width),
        out(out) {
    if (whole) scale = 1.0 / (height / small_height * (width / small_width));
  }

  static int64_t halvings_of(int64_t height, int64_t width, int64_t small_height,
                             int64_t small_width) {
    int64_t count = 0;
    const auto even = [&] { return height % 2 == 0 && width % 2 == 0; };
    for (; height >= 4 * small_height && width >= 4 * small_width && even(); ++count)
      height /= 2, width /= 2;
    // OpenCV halves exactly as well where nothing else is left to do.
    return count + (height == 2 * small_height && width == 2 * small_width);
  }
};

#endif  // STOCHCONV_JAX_SHRINKING_H_
