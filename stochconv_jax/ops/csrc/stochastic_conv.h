// What a stochastic convolution is asked to do, whatever the processor.

#ifndef STOCHCONV_JAX_STOCHASTIC_CONV_H_
#define STOCHCONV_JAX_STOCHASTIC_CONV_H_

#include <algorithm>
#include <cstdint>
#include <vector>

// Rows of a map that are made in a row.
constexpr int64_t kRows = 8;
// Kernels whose maps are transposed together: their floats fill a line of the cache.
constexpr int64_t kKernels = 16;
// Taps whose sums are kept in registers together.
constexpr int64_t kTogether = 9;

constexpr int64_t divide_up(int64_t value, int64_t divisor) {
  return (value + divisor - 1) / divisor;
}

struct Geometry {
  int64_t batch, rows, columns, channels, height, width;  // of the planes
  int64_t tall, wide, kernels;
  int64_t out_height, out_width;

  int64_t plane() const { return height * width; }
  int64_t image() const { return rows * columns * channels * plane(); }
  int64_t row_taps() const { return wide * channels; }
  int64_t taps() const { return tall * row_taps(); }
  int64_t row_blocks() const { return divide_up(out_height, kRows); }
  int64_t kernel_blocks() const { return divide_up(kernels, kKernels); }
  int64_t out_offset(int64_t image, int64_t row) const {
    return (image * out_height + row) * out_width * kernels;
  }
};

template <typename Pixel>
struct Operands {
  Geometry geometry;
  const Pixel* planes;
  const int32_t* corners;  // [batch, kernels, 2]
  const float* weights;    // [kernels, taps]
  float* out;              // [batch, out_height, out_width, kernels]
  const float* cotangent;  // as out
  float* sums;             // [batch, kernels, taps], the gradient of each image
};

// Where the pixels lie that the taps (i, j, c) of a kernel meet in the first row of its map, then
// those in the second row. Each further row of the map lies one row of a plane further.
template <typename Pixel>
class Blocks {
 public:
  explicit Blocks(const Geometry& geometry)
      : geometry_(&geometry), blocks_((geometry.tall + geometry.rows) * geometry.row_taps()) {}

  void seek(const Operands<Pixel>& operands, int64_t image, int64_t kernel) {
    const Geometry& g = *geometry_;
    const int32_t* corner = operands.corners + (image * g.kernels + kernel) * 2;
    const int64_t last_row = g.height * g.rows - ((g.out_height - 1) * g.rows + g.tall);
    const int64_t last_column = g.width * g.columns - ((g.out_width - 1) * g.columns + g.wide);
    // A corner outside would be read beside the image; XLA's slices are moved inside likewise.
    const int64_t top = std::clamp<int64_t>(corner[0], 0, last_row);
    const int64_t left = std::clamp<int64_t>(corner[1], 0, last_column);
    const Pixel* pixels = operands.planes + image * g.image();
    const Pixel** block = blocks_.data();
    for (int64_t i = top; i < top + g.tall + g.rows; ++i)
      for (int64_t j = left; j < left + g.wide; ++j) {
        const int64_t number = (i % g.rows * g.columns + j % g.columns) * g.channels;
        const Pixel* at = pixels + number * g.plane() + i / g.rows * g.width + j / g.columns;
        for (int64_t c = 0; c < g.channels; ++c) *block++ = at + c * g.plane();
      }
  }

  const Pixel* const* data() const { return blocks_.data(); }

 private:
  const Geometry* geometry_;
  std::vector<const Pixel*> blocks_;
};

#endif  // STOCHCONV_JAX_STOCHASTIC_CONV_H_
