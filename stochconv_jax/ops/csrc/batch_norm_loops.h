// The loops of BatchNorm; batch_norm.cc includes this once for each width of vectors.
//
// Rows of channels lie one after the other, and `period` values are the fewest that are both whole
// rows and whole vectors. What belongs to the channels is repeated to fill as many.

using Vector __attribute__((vector_size(4 * kLanes))) = float;
using Integers __attribute__((vector_size(4 * kLanes))) = int32_t;

// Some vector of an array: `at` of it, with the channels' values at `place` in a period. The last
// one may have fewer than kLanes values left; then the loops below are compiled for it by
// themselves.
template <bool kWhole>
struct Part {
  int64_t at, place, left;

  // Zeros stand for what is not there.
  INLINE void load(const float* array, Vector& vector) const {
    vector = Vector{};
    std::memcpy(&vector, array + at, kWhole ? sizeof(Vector) : left * sizeof(float));
  }

  INLINE void store(const Vector& vector, float* array) const {
    std::memcpy(array + at, &vector, kWhole ? sizeof(Vector) : left * sizeof(float));
  }
};

template <typename Work>
INLINE void for_part(int64_t at, int64_t place, int64_t count, const Work& work) {
  if (count - at >= kLanes)
    work(Part<true>{at, place, kLanes});
  else
    work(Part<false>{at, place, count - at});
}

template <typename Work>
INLINE void for_parts(int64_t count, int64_t period, const Work& work) {
  for (int64_t begin = 0; begin < count; begin += period)
    for (int64_t place = 0; place < std::min(period, count - begin); place += kLanes)
      for_part(begin + place, place, count, work);
}

INLINE void load(const float* from, Vector& vector) { std::memcpy(&vector, from, sizeof(Vector)); }

INLINE void store(const Vector& vector, float* to) { std::memcpy(to, &vector, sizeof(Vector)); }

// e^x to 1.2e-7 of it. With n = round(x / ln 2) and r = x - n ln 2 it is 2^n e^r, and the
// polynomial in r has the least relative error for |r| <= ln 2 / 2 but for its first two terms.
INLINE void exponential(const Vector& x, Vector& power) {
  // 1.5 * 2^23: the last bits of a sum with it are n, and what a float's exponent adds to n.
  constexpr float kRound = 12582912.0f + 127.0f;
  constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  Vector r = x > 88.0f ? Vector{} + 88.0f : x;  // what is not a number stays so
  r = r < -87.0f ? Vector{} - 87.0f : r;
  const Vector rounded = r * 1.44269504f + kRound;
  const Vector n = rounded - kRound;
  r -= n * kLn2High;
  r -= n * kLn2Low;
  Vector sum = r * 0.0013813143f + 0.0083694188f;
  sum = sum * r + 0.041668456f;
  sum = sum * r + 0.16666515f;
  sum = sum * r + 0.49999994f;
  sum = sum * r * r + (r + 1.0f);
  power = sum * (Vector)((Integers)rounded << 23);
}

INLINE void sigmoid(const Vector& z, Vector& s) {
  exponential(-z, s);
  s = 1.0f / (1.0f + s);
}

template <Activation kActivation>
INLINE void activate(const Vector& z, Vector& y) {
  y = z;
  if constexpr (kActivation == kSilu) {
    sigmoid(z, y);
    y *= z;
  }
  if constexpr (kActivation == kRelu || kActivation == kRelu6) y = z < 0.0f ? Vector{} : z;
  if constexpr (kActivation == kRelu6) y = y > 6.0f ? Vector{} + 6.0f : y;
}

// Multiplies a cotangent by the derivative at z.
template <Activation kActivation>
INLINE void pull_back(const Vector& z, Vector& cotangent) {
  if constexpr (kActivation == kSilu) {
    Vector s;
    sigmoid(z, s);
    cotangent *= s + z * s * (1.0f - s);
  }
  if constexpr (kActivation == kRelu || kActivation == kRelu6)
    cotangent = z > 0.0f ? cotangent : Vector{};
  if constexpr (kActivation == kRelu6) cotangent = z < 6.0f ? cotangent : Vector{};
}

// The channels' values at one place.
struct Place {
  Vector mean, slope, bias;

  INLINE Place(const Channels& channels, int64_t place) {
    load(channels.mean + place, mean);
    load(channels.slope + place, slope);
    load(channels.bias + place, bias);
  }
};

template <Activation kActivation>
void normalise(const Channels& channels, const float* x, int64_t count, float* y) {
  for_parts(count, channels.period, [&](const auto& part) {
    const Place p(channels, part.place);
    Vector value, out;
    part.load(x, value);
    activate<kActivation>((value - p.mean) * p.slope + p.bias, out);
    part.store(out, y);
  });
}

template <Activation kActivation>
void input_gradient(const Channels& channels, const float* x, const float* cotangent, int64_t count,
                    float* gradient) {
  for_parts(count, channels.period, [&](const auto& part) {
    const Place p(channels, part.place);
    Vector value, outer, mean_outer, tilt;
    part.load(x, value);
    part.load(cotangent, outer);
    load(channels.mean_outer + part.place, mean_outer);
    load(channels.tilt + part.place, tilt);
    value -= p.mean;
    pull_back<kActivation>(value * p.slope + p.bias, outer);
    part.store((outer - mean_outer) * p.slope + value * tilt, gradient);
  });
}

// Adds two terms of every value to the sums of its place, kTogether periods at a time, so that the
// sums are read and written once for so many.
template <typename Terms>
INLINE void add_terms(int64_t count, int64_t period, float* sums, float* products,
                      const Terms& terms) {
  for (int64_t begin = 0; begin < count; begin += kTogether * period)
    for (int64_t place = 0; place < period; place += kLanes) {
      Vector sum, product;
      load(sums + place, sum);
      load(products + place, product);
      for (int64_t at = begin + place, n = 0; n < kTogether && at < count; at += period, ++n)
        for_part(at, place, count, [&](const auto& part) {
          Vector one, other;
          terms(part, one, other);
          sum += one;
          product += other;
        });
      store(sum, sums + place);
      store(product, products + place);
    }
}

// Adds x and x^2.
void add_powers(int64_t period, const float* x, int64_t count, float* sums, float* squares) {
  add_terms(count, period, sums, squares, [&](const auto& part, Vector& value, Vector& square) {
    part.load(x, value);
    square = value * value;
  });
}

// Adds the cotangents of what was activated, and their products with x - mean.
template <Activation kActivation>
void add_products(const Channels& channels, const float* x, const float* cotangent, int64_t count,
                  float* sums, float* products) {
  const auto terms = [&](const auto& part, Vector& outer, Vector& product) {
    const Place p(channels, part.place);
    Vector value;
    part.load(x, value);
    part.load(cotangent, outer);
    value -= p.mean;
    pull_back<kActivation>(value * p.slope + p.bias, outer);
    product = outer * value;
  };
  add_terms(count, channels.period, sums, products, terms);
}
