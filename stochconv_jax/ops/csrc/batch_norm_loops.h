// The loops of BatchNorm; batch_norm.cc includes this once for each width of vectors.
//
// Rows of channels lie one after the other, and `period` values are the fewest that are both whole
// rows and whole vectors. What belongs to the channels is repeated to fill as many.

#include "vector_loops.h"

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

  INLINE void clear_rest(Vector& vector) const {
    for (int64_t lane = left; !kWhole && lane < kLanes; ++lane) vector[lane] = 0.0f;
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

// y = f(z), and f'(z), which costs nothing where it is not used.
template <Activation kActivation>
INLINE void activate(const Vector& z, Vector& y, Vector& derivative) {
  const Vector zero = {}, one = zero + 1.0f, six = zero + 6.0f;
  if constexpr (kActivation == kNone) {
    y = z;
    derivative = one;
  } else if constexpr (kActivation == kRelu) {
    y = z < 0.0f ? zero : z;  // what is not a number stays so
    derivative = z > 0.0f ? one : zero;
  } else if constexpr (kActivation == kRelu6) {
    y = z < 0.0f ? zero : z > 6.0f ? six : z;
    derivative = z > 0.0f ? z < 6.0f ? one : zero : zero;
  } else {
    Vector s;
    sigmoid(z, s);
    y = z * s;
    derivative = s + y * (1.0f - s);
  }
}

// What the channels make of a vector of x.
template <Activation kActivation>
struct Normalised {
  Vector centred, y, derivative;

  template <typename Part>
  INLINE Normalised(const Channels& channels, const float* x, const Part& part) {
    Vector mean, slope, bias;
    part.load(x, centred);
    load(channels.mean + part.place, mean);
    load(channels.slope + part.place, slope);
    load(channels.bias + part.place, bias);
    centred -= mean;
    activate<kActivation>(centred * slope + bias, y, derivative);
  }
};

template <bool kGated, Activation kActivation>
INLINE void normalise_with(const Channels& channels, const float* x, int64_t count, float* out) {
  for_parts(count, channels.period, [&](const auto& part) {
    Normalised<kActivation> n(channels, x, part);
    if constexpr (kGated) {
      Vector gate;
      load(channels.gate + part.place, gate);
      n.y *= gate;
    }
    part.store(n.y, out);
  });
}

template <Activation kActivation>
void ungated(const Channels& channels, const float* x, int64_t count, float* out) {
  normalise_with<false, kActivation>(channels, x, count, out);
}

template <Activation kActivation>
void gated(const Channels& channels, const float* x, int64_t count, float* out) {
  normalise_with<true, kActivation>(channels, x, count, out);
}

template <bool kGated, Activation kActivation>
INLINE void gradient_with(const Channels& channels, const float* x, const float* cotangent,
                          int64_t count, float* gradient) {
  for_parts(count, channels.period, [&](const auto& part) {
    const Normalised<kActivation> n(channels, x, part);
    Vector outer, slope, mean_outer, tilt;
    part.load(cotangent, outer);
    load(channels.slope + part.place, slope);
    load(channels.mean_outer + part.place, mean_outer);
    load(channels.tilt + part.place, tilt);
    if constexpr (kGated) {
      Vector gate, added;
      load(channels.gate + part.place, gate);
      load(channels.added + part.place, added);
      outer = outer * gate + added;
    }
    part.store((outer * n.derivative - mean_outer) * slope + n.centred * tilt, gradient);
  });
}

template <Activation kActivation>
void ungated_gradient(const Channels& channels, const float* x, const float* cotangent,
                      int64_t count, float* gradient) {
  gradient_with<false, kActivation>(channels, x, cotangent, count, gradient);
}

template <Activation kActivation>
void gated_gradient(const Channels& channels, const float* x, const float* cotangent, int64_t count,
                    float* gradient) {
  gradient_with<true, kActivation>(channels, x, cotangent, count, gradient);
}

// Adds kTerms terms of every value to the sums of its place, which lie a period apart, kTogether
// periods at a time, so that the sums are read and written once for so many.
template <int kTerms, typename Terms>
INLINE void add_terms(int64_t count, int64_t period, float* sums, const Terms& terms) {
  for (int64_t begin = 0; begin < count; begin += kTogether * period)
    for (int64_t place = 0; place < period; place += kLanes) {
      Vector sum[kTerms];
      for (int term = 0; term < kTerms; ++term) load(sums + term * period + place, sum[term]);
      for (int64_t at = begin + place, n = 0; n < kTogether && at < count; at += period, ++n)
        for_part(at, place, count, [&](const auto& part) { terms(part, sum); });
      for (int term = 0; term < kTerms; ++term) store(sum[term], sums + term * period + place);
    }
}

// Adds x and x^2.
void add_powers(int64_t period, const float* x, int64_t count, float* sums) {
  add_terms<2>(count, period, sums, [&](const auto& part, Vector* sum) {
    Vector value;
    part.load(x, value);
    sum[0] += value;
    sum[1] += value * value;
  });
}

// Adds y.
template <Activation kActivation>
void add_activated(const Channels& channels, const float* x, int64_t count, float* sums) {
  add_terms<1>(count, channels.period, sums, [&](const auto& part, Vector* sum) {
    // The zeros that stand for what is not there would be activated too.
    Normalised<kActivation> n(channels, x, part);
    part.clear_rest(n.y);
    sum[0] += n.y;
  });
}

// Adds dz = cotangent * f'(z) and dz * (x - mean).
template <Activation kActivation>
void add_products(const Channels& channels, const float* x, const float* cotangent, int64_t count,
                  float* sums) {
  add_terms<2>(count, channels.period, sums, [&](const auto& part, Vector* sum) {
    const Normalised<kActivation> n(channels, x, part);
    Vector outer;
    part.load(cotangent, outer);
    outer *= n.derivative;
    sum[0] += outer;
    sum[1] += outer * n.centred;
  });
}

// Adds those of the cotangent, those of 1 in its place, and cotangent * y.
template <Activation kActivation>
void add_gated_products(const Channels& channels, const float* x, const float* cotangent,
                        int64_t count, float* sums) {
  add_terms<5>(count, channels.period, sums, [&](const auto& part, Vector* sum) {
    Normalised<kActivation> n(channels, x, part);
    Vector outer;
    part.load(cotangent, outer);
    part.clear_rest(n.derivative);
    sum[4] += outer * n.y;
    outer *= n.derivative;
    sum[0] += outer;
    sum[1] += outer * n.centred;
    sum[2] += n.derivative;
    sum[3] += n.derivative * n.centred;
  });
}
