// Images in memory, and what a view takes of them.

#ifndef STOCHCONV_JAX_IMAGE_H_
#define STOCHCONV_JAX_IMAGE_H_

#include <cmath>
#include <cstdint>

// Pixels of three bytes, row after row.
struct Image {
  const uint8_t* pixels;
  int64_t height, width;

  int64_t pitch() const { return 3 * width; }
};

// A rectangle of an image or of a view.
struct Part {
  int64_t top, left, height, width;
};

// Every rows-th row and columns-th column of an image, each color by itself:
// out [rows, columns, 3, height, width]. Null for none.
struct Planes {
  uint8_t* out;
  int64_t rows, columns, height, width;
};

// Returns a place in [-last, last] where an image that is mirrored again and again is the same.
inline int64_t nearest(int64_t place, int64_t last) {
  if (place >= -last && place <= last) return place;
  place %= 2 * last;
  return place > last ? place - 2 * last : place < -last ? place + 2 * last : place;
}

// One coordinate of the places that a view sees: origin + right x + down y, in 2^-32 pixels.
struct Coordinate {
  int64_t last, origin, right, down;

  // Takes a row of a 2x3 matrix, and the image's side; what is not finite counts as 0.
  Coordinate(const double* row, int64_t side)
      : last((side - 1) << 32), origin(fixed(row[2])), right(fixed(row[0])), down(fixed(row[1])) {}

  int64_t at(int64_t x, int64_t y) const { return nearest(origin + right * x + down * y, last); }

 private:
  int64_t fixed(double value) const {
    // Whole periods of the mirrored image change no pixel, and without them nothing overflows.
    const double period = 2 * std::ldexp(static_cast<double>(last), -32);
    const double rest = std::remainder(value, period);
    return std::isfinite(rest) ? std::llrint(std::ldexp(rest, 32)) : 0;
  }
};

// From the pixels of a view to places in an image.
struct Map {
  Coordinate x, y;

  // Takes a matrix [2, 3].
  Map(const double* to_source, const Image& image)
      : x(to_source, image.width), y(to_source + 3, image.height) {}
};

#endif  // STOCHCONV_JAX_IMAGE_H_
