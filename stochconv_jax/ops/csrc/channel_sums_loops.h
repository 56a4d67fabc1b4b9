// The loops of the sums over rows; channel_sums.cc includes this once for each width of vectors.

// Adds to sums[c] the x of `rows` rows and to products[c] their x * (y - shift[c]), kTogether rows
// at a time, so that the sums are read and written once for so many.
void add_rows(const float* __restrict x, const float* __restrict y, const float* __restrict shift,
              int64_t rows, int64_t channels, float* __restrict sums, float* __restrict products) {
  int64_t row = 0;
  for (; row + kTogether <= rows; row += kTogether, x += kTogether * channels,
                                  y += kTogether * channels)
    for (int64_t c = 0; c < channels; ++c) {
      float sum = 0, product = 0;
      for (int64_t r = 0; r < kTogether; ++r) {
        const float value = x[r * channels + c];
        sum += value;
        product += value * (y[r * channels + c] - shift[c]);
      }
      sums[c] += sum;
      products[c] += product;
    }
  for (; row < rows; ++row, x += channels, y += channels)
    for (int64_t c = 0; c < channels; ++c) {
      sums[c] += x[c];
      products[c] += x[c] * (y[c] - shift[c]);
    }
}
