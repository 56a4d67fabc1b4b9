// The loops of a transposition; stochastic_conv_loops.h includes this once for each width of
// vectors.

// Writes past the caches, where the address allows it.
INLINE void stream(const Vector& vector, float* to) {
  if (reinterpret_cast<uintptr_t>(to) % sizeof(Vector) == 0)
    stream_aligned(vector, to);
  else
    store(vector, to);
}

// What a shuffle takes of two vectors: of every block of four the first or the last two floats, by
// turns or as pairs, or every other block.
enum Shuffle { kLowFloats, kHighFloats, kLowPairs, kHighPairs, kEvenBlocks, kOddBlocks };

// Where it takes element e from; the second vector begins at kLanes.
constexpr int place(Shuffle shuffle, int e) {
  const int block = e / 4 * 4, within = e % 4;
  switch (shuffle) {
    case kLowFloats:
    case kHighFloats:
      return within % 2 * kLanes + block + within / 2 + (shuffle == kHighFloats) * 2;
    case kLowPairs:
    case kHighPairs:
      return within / 2 * kLanes + block + within % 2 + (shuffle == kHighPairs) * 2;
    default:
      return block * 2 + within + (shuffle == kOddBlocks) * 4;
  }
}

// Were it written element by element, GCC would load them one by one.
template <Shuffle kShuffle, int... kElement>
INLINE void take(const Vector& a, const Vector& b, Vector& out,
                 std::integer_sequence<int, kElement...>) {
#if defined(__clang__)
  out = __builtin_shufflevector(a, b, place(kShuffle, kElement)...);
#else
  using Places __attribute__((vector_size(4 * kLanes))) = int32_t;
  out = __builtin_shuffle(a, b, Places{place(kShuffle, kElement)...});
#endif
}

// One shuffle of two vectors, and the other one.
template <Shuffle kOne, Shuffle kOther>
INLINE void take_both(const Vector& a, const Vector& b, Vector& one, Vector& other) {
  constexpr auto kElements = std::make_integer_sequence<int, kLanes>();
  take<kOne>(a, b, one, kElements);
  take<kOther>(a, b, other, kElements);
}

// to[x, k] = from[k, x] for kLanes rows of kLanes. With kStream past the caches, which need not
// read then what is overwritten.
template <bool kStream>
INLINE void transpose_block(const float* from, int64_t from_row, float* to, int64_t to_row) {
  constexpr int kGroups = kLanes / 4;
  // Blocks of four: of column c of each, the rows of a group.
  Vector rows[4], low[2], high[2], columns[4][kGroups], out[kLanes];
#pragma GCC unroll 4
  for (int group = 0; group < kGroups; ++group) {
    for (int k = 0; k < 4; ++k) load(from + (4 * group + k) * from_row, rows[k]);
    take_both<kLowFloats, kHighFloats>(rows[0], rows[1], low[0], high[0]);
    take_both<kLowFloats, kHighFloats>(rows[2], rows[3], low[1], high[1]);
    take_both<kLowPairs, kHighPairs>(low[0], low[1], columns[0][group], columns[1][group]);
    take_both<kLowPairs, kHighPairs>(high[0], high[1], columns[2][group], columns[3][group]);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const Vector* groups = columns[c];
    if constexpr (kGroups == 1) {
      out[c] = groups[0];
    } else if constexpr (kGroups == 2) {
      take_both<kEvenBlocks, kOddBlocks>(groups[0], groups[1], out[c], out[4 + c]);
    } else {
      Vector even[2], odd[2];
      take_both<kEvenBlocks, kOddBlocks>(groups[0], groups[1], even[0], odd[0]);
      take_both<kEvenBlocks, kOddBlocks>(groups[2], groups[3], even[1], odd[1]);
      take_both<kEvenBlocks, kOddBlocks>(even[0], even[1], out[c], out[8 + c]);
      take_both<kEvenBlocks, kOddBlocks>(odd[0], odd[1], out[4 + c], out[12 + c]);
    }
  }
#pragma GCC unroll 16
  for (int x = 0; x < kLanes; ++x) {
    if constexpr (kStream)
      stream(out[x], to + x * to_row);
    else
      store(out[x], to + x * to_row);
  }
}

// to[x, k] = from[k, x] for `rows` rows of `columns`.
template <bool kStream>
INLINE void transpose(const float* from, int64_t from_row, int64_t rows, int64_t columns, float* to,
                      int64_t to_row) {
  const int64_t whole_rows = rows / kLanes * kLanes, whole_columns = columns / kLanes * kLanes;
  for (int64_t x = 0; x < whole_columns; x += kLanes)
    for (int64_t k = 0; k < whole_rows; k += kLanes)
      transpose_block<kStream>(from + k * from_row + x, from_row, to + x * to_row + k, to_row);
  for (int64_t k = 0; k < rows; ++k)
    for (int64_t x = k < whole_rows ? whole_columns : 0; x < columns; ++x)
      to[x * to_row + k] = from[k * from_row + x];
}
