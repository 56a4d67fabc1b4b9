// The loops of the stochastic convolution, for vectors of kLanes floats; `widen` makes floats of so
// many pixels. stochastic_conv.cc includes this once for each width.

// Vectors of a row that are summed in registers together, for two rows.
constexpr int kVectors = kLanes == 16 ? 7 : 4;

using Vector __attribute__((vector_size(4 * kLanes))) = float;

INLINE void load(const float* from, Vector& vector) { std::memcpy(&vector, from, sizeof(Vector)); }

INLINE void store(const Vector& vector, float* to) { std::memcpy(to, &vector, sizeof(Vector)); }

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

// Every other element of two vectors, of their first or their second halves.
template <int kHalf, std::size_t... kElement>
INLINE void interleave(const Vector& a, const Vector& b, Vector& out,
                       std::index_sequence<kElement...>) {
  out = Vector{(kElement % 2 ? b : a)[kHalf * kLanes / 2 + kElement / 2]...};
}

INLINE void interleave_all(const Vector* from, Vector* to) {
  constexpr auto kElements = std::make_index_sequence<kLanes>();
#pragma GCC unroll 8
  for (int k = 0; k < kLanes / 2; ++k) {
    interleave<0>(from[k], from[k + kLanes / 2], to[2 * k], kElements);
    interleave<1>(from[k], from[k + kLanes / 2], to[2 * k + 1], kElements);
  }
}

// to[x, k] = from[k, x] for kLanes rows of kLanes.
INLINE void transpose_block(const float* from, int64_t from_row, float* to, int64_t to_row) {
  Vector one[kLanes], other[kLanes];
#pragma GCC unroll 16
  for (int k = 0; k < kLanes; ++k) load(from + k * from_row, one[k]);
  interleave_all(one, other);
  interleave_all(other, one);
  if constexpr (kLanes >= 8) interleave_all(one, other);
  if constexpr (kLanes >= 16) interleave_all(other, one);
#pragma GCC unroll 16
  for (int x = 0; x < kLanes; ++x) store(kLanes == 8 ? other[x] : one[x], to + x * to_row);
}

// to[x, k] = from[k, x] for `rows` rows of `columns`.
INLINE void transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to,
                      int64_t to_row) {
  const int64_t whole_rows = rows / kLanes * kLanes, whole_columns = columns / kLanes * kLanes;
  for (int64_t k = 0; k < whole_rows; k += kLanes)
    for (int64_t x = 0; x < whole_columns; x += kLanes)
      transpose_block(from + k * from_row + x, from_row, to + x * to_row + k, to_row);
  for (int64_t k = 0; k < rows; ++k)
    for (int64_t x = k < whole_rows ? whole_columns : 0; x < columns; ++x)
      to[x * to_row + k] = from[k * from_row + x];
}

// Asks the memory for a part of a row of the output, which is written when kKernels kernels have
// asked for theirs.
template <typename Pixel>
INLINE void prefetch_out(const Operands<Pixel>& operands, int64_t image, int64_t row, int64_t first,
                         int64_t kernel) {
  const Geometry& g = operands.geometry;
  float* out = operands.out + g.out_offset(image, row) + first;
  const int64_t begin = g.out_width * kernel / kKernels;
  const int64_t end = g.out_width * (kernel + 1) / kKernels;
  for (int64_t x = begin; x < end; ++x) __builtin_prefetch(out + x * g.kernels, 1);
}

// The maps of all kernels of one image, kRows rows of them.
template <typename Pixel>
void maps(const Operands<Pixel>& operands, int64_t unit) {
  const Geometry& g = operands.geometry;
  const int64_t image = unit / g.row_blocks(), first_row = unit % g.row_blocks() * kRows;
  const int64_t rows = std::min(kRows, g.out_height - first_row);
  Blocks<Pixel> blocks(g);
  std::vector<float> tile(rows * kKernels * g.out_width);
  for (int64_t first = 0; first < g.kernels; first += kKernels) {
    const int64_t count = std::min(kKernels, g.kernels - first);
    for (int64_t k = 0; k < count; ++k) {
      blocks.seek(operands, image, first + k);
      const float* weights = operands.weights + (first + k) * g.taps();
      for (int64_t r = 0; r < rows; r += 2) {
        for (int64_t row = r; row < std::min(r + 2, rows); ++row)
          prefetch_out(operands, image, first_row + row, first, k);
        float* out = tile.data() + (r * kKernels + k) * g.out_width;
        if (r + 1 < rows)
          map_rows<true>(g, blocks.data(), first_row + r, weights, out,
                         out + kKernels * g.out_width);
        else
          map_rows<false>(g, blocks.data(), first_row + r, weights, out, out);
      }
    }
    for (int64_t r = 0; r < rows; ++r)
      transpose(tile.data() + r * kKernels * g.out_width, g.out_width, count, g.out_width,
                operands.out + g.out_offset(image, first_row + r) + first, g.kernels);
  }
}

// Adds the products of kTaps blocks with a row of a kernel's cotangent to the taps' sums.
template <int kTaps, typename Pixel>
INLINE void add_products(const Pixel* const* blocks, int64_t offset, const float* cotangent,
                         int64_t width, float* totals) {
  Vector sums[kTaps], outer, block;
  for (int tap = 0; tap < kTaps; ++tap) load(totals + tap * kLanes, sums[tap]);
  int64_t x = 0;
  for (; x + kLanes <= width; x += kLanes) {
    load(cotangent + x, outer);
    for (int tap = 0; tap < kTaps; ++tap) {
      widen(blocks[tap] + offset + x, block);
      sums[tap] += outer * block;
    }
  }
  for (int tap = 0; tap < kTaps; ++tap) store(sums[tap], totals + tap * kLanes);
  for (; x < width; ++x)
    for (int tap = 0; tap < kTaps; ++tap)
      totals[tap * kLanes] += cotangent[x] * blocks[tap][offset + x];
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
      transpose(operands.cotangent + g.out_offset(image, first_row + r) + first, g.kernels,
                g.out_width, count, tile.data() + r * kKernels * g.out_width, g.out_width);
    for (int64_t k = 0; k < count; ++k)
      for (int64_t row = first_row; row < first_row + rows; ++row) {
        const float* cotangent = tile.data() + ((row - first_row) * kKernels + k) * g.out_width;
        const Pixel* const* from = blocks[k].data();
        float* sums = totals.data() + k * taps * kLanes;
        int64_t tap = 0;
        for (; tap + kTogether <= taps; tap += kTogether)
          add_products<kTogether>(from + tap, row * g.width, cotangent, g.out_width,
                                  sums + tap * kLanes);
        for (; tap < taps; ++tap)
          add_products<1>(from + tap, row * g.width, cotangent, g.out_width, sums + tap * kLanes);
      }
  }
  for (int64_t row = 0; row < count * taps; ++row) {
    float* sum = operands.sums + (image * g.kernels + first) * taps + row;
    *sum = std::accumulate(&totals[row * kLanes], &totals[row * kLanes] + kLanes, 0.0f);
  }
}
