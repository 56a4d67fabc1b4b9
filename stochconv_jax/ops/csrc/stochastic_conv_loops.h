// The loops of the stochastic convolution, for vectors of kLanes floats; `widen` makes floats of so
// many pixels, and `stream_aligned` writes them past the caches. stochastic_conv.cc includes this
// once for each width.

#include "vector_loops.h"
// Behind the vectors, which it uses.
#include "transpose_loops.h"

// Vectors of a row that are summed in registers together, for two rows.
constexpr int kVectors = kLanes == 16 ? 7 : 4;

INLINE void widen(const float* pixels, Vector& floats) { load(pixels, floats); }

// Adds kCount vectors of the blocks of some taps, weighted, to a row of a map and to the next one.
template <int kCount, bool kFirst, bool kSecond, typename Pixel>
INLINE void add_blocks(const Pixel* const* blocks, int64_t offset, int64_t tap, int64_t end,
                       const float* first_weights, const float* second_weights, Vector* first,
                       Vector* second) {
  Vector block;
  for (; tap < end; ++tap)
    for (int v = 0; v < kCount; ++v) {
      widen(blocks[tap] + offset + v * kLanes, block);
      if constexpr (kFirst) first[v] += first_weights[tap] * block;
      if constexpr (kSecond) second[v] += second_weights[tap] * block;
    }
}

// kCount vectors of a row of a map and, with kBoth, of the next one. The two rows share most of
// their pixels, which are made floats once.
template <int kCount, bool kBoth, typename Pixel>
INLINE void map_vectors(const Geometry& g, const Pixel* const* blocks, int64_t offset,
                        const float* weights, float* out, float* out_below) {
  Vector first[kCount] = {}, second[kCount] = {};
  const int64_t taps = g.taps(), step = kBoth ? g.rows * g.row_taps() : taps;
  const float* below = weights - step;
  add_blocks<kCount, true, false>(blocks, offset, 0, std::min(step, taps), weights, below, first,
                                  second);
  if constexpr (kBoth) {
    add_blocks<kCount, true, true>(blocks, offset, step, taps, weights, below, first, second);
    add_blocks<kCount, false, true>(blocks, offset, std::max(step, taps), step + taps, weights,
                                    below, first, second);
    for (int v = 0; v < kCount; ++v) store(second[v], out_below + v * kLanes);
  }
  for (int v = 0; v < kCount; ++v) store(first[v], out + v * kLanes);
}

template <bool kBoth, typename Pixel>
INLINE void map_rows(const Geometry& g, const Pixel* const* blocks, int64_t row,
                     const float* weights, float* out, float* out_below) {
  const int64_t offset = row * g.width;
  int64_t x = 0;
  for (; x + kVectors * kLanes <= g.out_width; x += kVectors * kLanes)
    map_vectors<kVectors, kBoth>(g, blocks, offset + x, weights, out + x, out_below + x);
  for (; x + kLanes <= g.out_width; x += kLanes)
    map_vectors<1, kBoth>(g, blocks, offset + x, weights, out + x, out_below + x);
  for (; x < g.out_width; ++x) {
    float first = 0, second = 0;
    for (int64_t tap = 0; tap < g.taps(); ++tap) {
      first += weights[tap] * blocks[tap][offset + x];
      if constexpr (kBoth) second += weights[tap] * blocks[tap][offset + g.width + x];
    }
    out[x] = first;
    if constexpr (kBoth) out_below[x] = second;
  }
}

// Asks for what two rows of a map will meet in every plane.
template <typename Pixel>
INLINE void prefetch_rows(const Geometry& g, const Pixel* const* blocks, int64_t row) {
  constexpr int64_t kLine = 64 / sizeof(Pixel);
  for (int64_t i = 0; i < g.rows; ++i)
    for (int64_t place = 0; place < std::min(g.columns, g.wide) * g.channels; ++place) {
      const Pixel* at = blocks[i * g.row_taps() + place] + row * g.width;
      for (int64_t x = 0; x < g.out_width + kLine; x += kLine) {
        const int64_t within = std::min(x, g.out_width - 1);
        __builtin_prefetch(at + within, 0, 2);
        __builtin_prefetch(at + g.width + within, 0, 2);
      }
    }
}

// The maps of all kernels of one image, kRows rows of them.
template <typename Pixel>
void maps(const Operands<Pixel>& operands, int64_t unit) {
  const Geometry& g = operands.geometry;
  const int64_t image = unit / g.row_blocks(), first_row = unit % g.row_blocks() * kRows;
  const int64_t rows = std::min(kRows, g.out_height - first_row);
  Blocks<Pixel> blocks(g), next(g);
  next.seek(operands, image, 0);
  std::vector<float> tile(rows * kKernels * g.out_width);
  for (int64_t first = 0; first < g.kernels; first += kKernels) {
    const int64_t count = std::min(kKernels, g.kernels - first);
    for (int64_t k = 0; k < count; ++k) {
      std::swap(blocks, next);
      next.seek(operands, image, std::min(first + k + 1, g.kernels - 1));
      const float* weights = operands.weights + (first + k) * g.taps();
      for (int64_t r = 0; r < rows; r += 2) {
        prefetch_rows(g, next.data(), first_row + r);
        float* out = tile.data() + (r * kKernels + k) * g.out_width;
        if (r + 1 < rows)
          map_rows<true>(g, blocks.data(), first_row + r, weights, out,
                         out + kKernels * g.out_width);
        else
          map_rows<false>(g, blocks.data(), first_row + r, weights, out, out);
      }
    }
    for (int64_t r = 0; r < rows; ++r)
      transpose<true>(tile.data() + r * kKernels * g.out_width, g.out_width, count, g.out_width,
                      operands.out + g.out_offset(image, first_row + r) + first, g.kernels);
  }
  finish_streams();
}

// Some rows of the cotangent of one kernel's map.
struct Cotangent {
  const float* values;
  int64_t first_row, rows, step;

  const float* row(int64_t row) const { return values + (row - first_row) * step; }
};

// Adds products of kTaps blocks with the rows of a cotangent to the taps' sums, and with kBoth
// those to the taps that are a stride further down. These meet a row of pixels with the row of the
// map before, so that its pixels are made floats once.
template <int kTaps, bool kBoth, typename Pixel>
INLINE void add_products(const Geometry& g, const Pixel* const* blocks, const Cotangent& cotangent,
                         float* totals) {
  float* totals_below = totals + (kBoth ? g.rows * g.row_taps() * kLanes : 0);
  Vector sums[kTaps], below[kTaps], outer, outer_above, block;
  for (int tap = 0; tap < kTaps; ++tap) {
    load(totals + tap * kLanes, sums[tap]);
    load(totals_below + tap * kLanes, below[tap]);
  }
  const int64_t end = cotangent.first_row + cotangent.rows;
  const auto add_row = [&](auto here, auto above, int64_t row) {
    for (int64_t x = 0; x + kLanes <= g.out_width; x += kLanes) {
      if constexpr (here) load(cotangent.row(row) + x, outer);
      if constexpr (above) load(cotangent.row(row - 1) + x, outer_above);
      for (int tap = 0; tap < kTaps; ++tap) {
        widen(blocks[tap] + row * g.width + x, block);
        if constexpr (here) sums[tap] += outer * block;
        if constexpr (above) below[tap] += outer_above * block;
      }
    }
  };
  add_row(std::true_type(), std::false_type(), cotangent.first_row);
  for (int64_t row = cotangent.first_row + 1; row < end; ++row)
    add_row(std::true_type(), std::bool_constant<kBoth>(), row);
  if constexpr (kBoth) add_row(std::false_type(), std::true_type(), end);
  for (int tap = 0; tap < kTaps; ++tap) {
    store(sums[tap], totals + tap * kLanes);
    if constexpr (kBoth) store(below[tap], totals_below + tap * kLanes);
  }
}

template <bool kBoth, typename Pixel>
INLINE void add_tap_row(const Geometry& g, const Pixel* const* blocks, const Cotangent& cotangent,
                        float* totals) {
  int64_t tap = 0;
  for (; tap + kTogether <= g.row_taps(); tap += kTogether)
    add_products<kTogether, kBoth>(g, blocks + tap, cotangent, totals + tap * kLanes);
  for (; tap < g.row_taps(); ++tap)
    add_products<1, kBoth>(g, blocks + tap, cotangent, totals + tap * kLanes);
}

// Adds the products with a row of a cotangent to all taps' sums, a vector for each tap.
template <typename Pixel>
INLINE void add_all_products(const Geometry& g, const Pixel* const* blocks,
                             const Cotangent& cotangent, float* totals) {
  for (int64_t base = 0; base < g.tall; base += 2 * g.rows)
    for (int64_t i = base; i < std::min(base + g.rows, g.tall); ++i) {
      const int64_t tap = i * g.row_taps();
      if (i + g.rows < g.tall)
        add_tap_row<true>(g, blocks + tap, cotangent, totals + tap * kLanes);
      else
        add_tap_row<false>(g, blocks + tap, cotangent, totals + tap * kLanes);
    }
  // What fills no vector.
  for (int64_t row = cotangent.first_row; row < cotangent.first_row + cotangent.rows; ++row)
    for (int64_t x = g.out_width / kLanes * kLanes; x < g.out_width; ++x)
      for (int64_t tap = 0; tap < g.taps(); ++tap)
        totals[tap * kLanes] += cotangent.row(row)[x] * blocks[tap][row * g.width + x];
}

// The gradient of kKernels kernels of one image.
template <typename Pixel>
void gradient(const Operands<Pixel>& operands, int64_t unit) {
  const Geometry& g = operands.geometry;
  const int64_t taps = g.taps();
  const int64_t image = unit / g.kernel_blocks(), first = unit % g.kernel_blocks() * kKernels;
  const int64_t count = std::min(kKernels, g.kernels - first);
  std::vector<Blocks<Pixel>> blocks(count, Blocks<Pixel>(g));
  for (int64_t k = 0; k < count; ++k) blocks[k].seek(operands, image, first + k);
  std::vector<float> tile(kRows * kKernels * g.out_width), totals(count * taps * kLanes);
  for (int64_t first_row = 0; first_row < g.out_height; first_row += kRows) {
    const int64_t rows = std::min(kRows, g.out_height - first_row);
    for (int64_t r = 0; r < rows; ++r)
      transpose<false>(operands.cotangent + g.out_offset(image, first_row + r) + first, g.kernels,
                       g.out_width, count, tile.data() + r * kKernels * g.out_width, g.out_width);
    for (int64_t k = 0; k < count; ++k) {
      // The next kernel's pixels here, or the first one's below.
      const bool last = k + 1 == count;
      for (int64_t r = 0; r < rows; r += 2)
        prefetch_rows(g, blocks[last ? 0 : k + 1].data(), first_row + r + (last ? rows : 0));
      const Cotangent cotangent = {tile.data() + k * g.out_width, first_row, rows,
                                   kKernels * g.out_width};
      add_all_products(g, blocks[k].data(), cotangent, totals.data() + k * taps * kLanes);
    }
  }
  for (int64_t row = 0; row < count * taps; ++row) {
    float* sum = operands.sums + (image * g.kernels + first) * taps + row;
    *sum = std::accumulate(&totals[row * kLanes], &totals[row * kLanes] + kLanes, 0.0f);
  }
}
