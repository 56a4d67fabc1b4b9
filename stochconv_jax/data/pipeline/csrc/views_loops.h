// The loops that make a network's views of rows of four bytes to a pixel; views.cc includes this
// once for each width of vectors.

// Writes a part of an image with four bytes to a pixel.
void copy(const Image& image, const Part& part, uint8_t* out) {
  for (int64_t row = 0; row < part.height; ++row, out += 4 * part.width) {
    const uint8_t* from = image.pixels + (part.top + row) * image.pitch() + 3 * part.left;
    int64_t x = 0;
    // More is read than four pixels, so the last ones, behind which there may be none, are copied
    // one by one.
    for (; x + 6 <= part.width; x += 4) add_fourth(from + 3 * x, out + 4 * x);
    for (; x < part.width; ++x) std::memcpy(out + 4 * x, from + 3 * x, 3);
  }
}

// Writes a row of four bytes to a pixel with three.
INLINE void write_pixels(const uint8_t* row, int64_t width, uint8_t* out) {
  int64_t x = 0;
  // More is written than four pixels, and then written over.
  for (; x + 6 <= width; x += 4) drop_fourth(row + 4 * x, out + 3 * x);
  for (; x < width; ++x) std::memcpy(out + 3 * x, row + 4 * x, 3);
}

// Writes every columns-th pixel of a row into a plane for each color: out[color * size + x].
template <int kColumns>
INLINE void lay_out_columns(const uint32_t* __restrict row, int64_t columns, int64_t width,
                            int64_t size, uint8_t* __restrict out) {
  const int64_t step = kColumns ? kColumns : columns;
  for (int64_t x = 0; x < width; ++x) {
    const uint32_t pixel = row[x * step];
    out[x] = pixel;
    out[size + x] = pixel >> 8;
    out[2 * size + x] = pixel >> 16;
  }
}

// Writes some rows of an image, from row `top` on, into its planes.
void lay_out(const uint8_t* rows, int64_t pitch, int64_t top, int64_t count, const Planes& planes) {
  const int64_t size = planes.height * planes.width;
  for (int64_t row = 0; row < count; ++row) {
    const int64_t phase = (top + row) % planes.rows, y = (top + row) / planes.rows;
    for (int64_t column = 0; column < planes.columns; ++column) {
      const uint32_t* from = reinterpret_cast<const uint32_t*>(rows + row * pitch) + column;
      uint8_t* to = planes.out + (phase * planes.columns + column) * 3 * size + y * planes.width;
      const auto write = planes.columns == 1   ? lay_out_columns<1>
                         : planes.columns == 2 ? lay_out_columns<2>
                         : planes.columns == 4 ? lay_out_columns<4>
                                               : lay_out_columns<0>;
      write(from, planes.columns, planes.width, size, to);
    }
  }
}

// Writes the means of two by two pixels of four bytes, a half rounded up; `width` of the result.
INLINE void halve(const uint8_t* upper, const uint8_t* lower, int64_t width, uint8_t* out) {
  constexpr uint64_t kEven = 0x00ff00ff00ff00ff;
  for (int64_t x = 0; x < width; ++x) {
    uint64_t above, below;  // two pixels
    std::memcpy(&above, upper + 8 * x, 8);
    std::memcpy(&below, lower + 8 * x, 8);
    const uint64_t even = (above & kEven) + (below & kEven);
    const uint64_t odd = ((above >> 8) & kEven) + ((below >> 8) & kEven);
    constexpr uint32_t kTwo = 0x00020002, kBytes = 0x00ff00ff;
    const uint32_t first = static_cast<uint32_t>(even) + static_cast<uint32_t>(even >> 32) + kTwo;
    const uint32_t second = static_cast<uint32_t>(odd) + static_cast<uint32_t>(odd >> 32) + kTwo;
    const uint32_t mean = ((first >> 2) & kBytes) | ((second >> 2) & kBytes) << 8;
    std::memcpy(out + 4 * x, &mean, 4);
  }
}

// The four sums of a pixel.
using Four __attribute__((vector_size(16))) = float;

// Writes the means along a row, each summed from its first pixel to its last; kTaps is 0 for any.
template <int kTaps>
INLINE void means_along(const float* row, const Areas& areas, float* out) {
  const int64_t taps = kTaps ? kTaps : areas.taps;
  for (size_t x = 0; x < areas.first.size(); ++x) {
    const float* from = row + 4 * areas.first[x];
    const float* weights = areas.weights.data() + x * taps;
    Four sum = {}, pixel;
    for (int64_t tap = 0; tap < taps; ++tap) {
      std::memcpy(&pixel, from + 4 * tap, sizeof(Four));
      sum += pixel * weights[tap];
    }
    std::memcpy(out + 4 * x, &sum, sizeof(Four));
  }
}

INLINE void add_scaled(const float* __restrict row, float weight, int64_t count,
                       float* __restrict sums) {
  for (int64_t i = 0; i < count; ++i) sums[i] += row[i] * weight;
}

// Rounds sums to levels, a half to the even one, and writes the pixels with three bytes.
INLINE void write_levels(const float* sums, float scale, int64_t width, uint8_t* pixels,
                         uint8_t* out) {
  constexpr float kWhole = 3 << 22;  // floats of this size are whole numbers
  for (int64_t i = 0; i < 4 * width; ++i) {
    const float rounded = sums[i] * scale + kWhole;
    uint32_t bits;
    std::memcpy(&bits, &rounded, 4);
    pixels[i] = bits;
  }
  write_pixels(pixels, width, out);
}

// Adds the next row of four bytes to a pixel to the small image.
void add_row(const uint8_t* row, Shrinking& s) {
  for (int64_t i = 0; i < 4 * s.width; ++i) s.floats[i] = row[i];
  const auto along = s.across.taps == 4   ? means_along<4>
                     : s.across.taps == 3 ? means_along<3>
                                          : means_along<0>;
  along(s.floats.data(), s.across, s.means.data());
  const int64_t small = s.across.first.size(), y = s.row++;
  // A row lies in one area, or in two that follow each other.
  while (s.area < static_cast<int64_t>(s.down.first.size()) && s.down.first[s.area] <= y) {
    const float* weights = s.down.weights.data() + s.area * s.down.taps;
    const int64_t tap = y - s.down.first[s.area];
    add_scaled(s.means.data(), weights[tap], 4 * small, s.sums.data());
    if (tap + 1 < s.down.taps && weights[tap + 1] > 0) return;
    write_levels(s.sums.data(), s.scale, small, s.pixels.data(), s.out + s.area * 3 * small);
    std::fill(s.sums.begin(), s.sums.end(), 0.0f);
    ++s.area;
  }
}

// Writes what a network sees of a part of an image, or of a view of it.
void write_views(const Image& image, const Map* map, const Part& part, const Planes& planes,
                 Shrinking& shrinking) {
  // A view is interpolated in whole blocks, the same ones whatever part is seen.
  const int64_t before = map ? part.left % kBlock : 0;
  const int64_t width = map ? (before + part.width + kBlock - 1) / kBlock * kBlock : part.width;
  const int64_t step = int64_t{1} << shrinking.halvings;
  const int64_t most = (kTile + step - 1) / step * step;
  const std::unique_ptr<uint8_t[]> strip(new uint8_t[most * width * 4]);
  for (int64_t top = 0; top < part.height; top += most) {
    const Part rows = {part.top + top, part.left - before, std::min(most, part.height - top),
                       width};
    if (map)
      warp(image, *map, rows, strip.get());
    else
      copy(image, rows, strip.get());
    uint8_t* seen = strip.get() + 4 * before;
    if (planes.out) lay_out(seen, 4 * width, top, rows.height, planes);
    int64_t count = rows.height, across = part.width;
    for (int64_t n = 0; n < shrinking.halvings; ++n) {
      count /= 2, across /= 2;
      for (int64_t row = 0; row < count; ++row)
        halve(seen + 8 * row * width, seen + 8 * row * width + 4 * width, across,
              seen + 4 * row * width);
    }
    for (int64_t row = 0; row < count; ++row) add_row(seen + 4 * row * width, shrinking);
  }
}

// Writes a view with three bytes to a pixel.
void interpolate(const Image& image, const Map& map, uint8_t* out) {
  const int64_t width = (image.width + kBlock - 1) / kBlock * kBlock;
  const std::unique_ptr<uint8_t[]> strip(new uint8_t[kTile * width * 4]);
  for (int64_t top = 0; top < image.height; top += kTile) {
    const Part rows = {top, 0, std::min(kTile, image.height - top), width};
    warp(image, map, rows, strip.get());
    for (int64_t row = 0; row < rows.height; ++row)
      write_pixels(strip.get() + row * width * 4, image.width, out + (top + row) * image.width * 3);
  }
}
