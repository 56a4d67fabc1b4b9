// The loops of a bilinear interpolation; views.cc includes this once for each width of vectors,
// with a `blend` of its own. All is done in whole numbers, so that each gives the same bits.

// The four neighbours of some pixels: where in the image the first one lies, and what the upper two
// and the lower two weigh, by 2^14, the left one in the lower half of the number.
struct Places {
  uint32_t first[kTile], upper[kTile], lower[kTile];
};

// Steps of one coordinate from a block's first pixel to each of them, in 2^-16 pixels, and from one
// block to the next, in 2^-32.
struct Steps {
  int32_t within[kBlock];
  int64_t block;

  explicit Steps(const Coordinate& c) : block(nearest(c.right * kBlock, c.last)) {
    for (int i = 0; i < kBlock; ++i) within[i] = (nearest(c.right * i, c.last) + (1 << 15)) >> 16;
  }
};

// Moves a place in [-2 last, 2 last] to where the image, mirrored in its first and its last pixel,
// is the same.
INLINE int32_t mirrored(int32_t place, int32_t last) {
  return last - std::abs(last - std::abs(place));
}

// Writes the pixel before a place, which has a next one, and what the next one weighs, by 2^14.
INLINE void divide(int32_t place, int32_t last, int32_t& pixel, int32_t& share) {
  pixel = std::min(place >> 16, (last >> 16) - 1);
  share = (place - (pixel << 16) + 2) >> 2;
}

// Finds the places of a block whose first pixel sees (x, y).
INLINE void locate(const Image& image, const Map& map, int64_t x, int64_t y, const Steps& right,
                   const Steps& down, Places& places, int64_t at) {
  const int32_t last_x = map.x.last >> 16, last_y = map.y.last >> 16;
  const int32_t first_x = x >> 16, first_y = y >> 16, pitch = image.pitch();
  for (int i = 0; i < kBlock; ++i) {
    int32_t column, row, right_share, down_share;
    divide(mirrored(first_x + right.within[i], last_x), last_x, column, right_share);
    divide(mirrored(first_y + down.within[i], last_y), last_y, row, down_share);
    const int32_t both = (right_share * down_share + (1 << 13)) >> 14;
    places.first[at + i] = row * pitch + column * 3;
    places.upper[at + i] = ((1 << 14) - right_share - down_share + both) | (right_share - both)
                                                                               << 16;
    places.lower[at + i] = (down_share - both) | both << 16;
  }
}

// Returns what a part of a view sees inside the image: the smallest rectangle that holds it.
INLINE Part seen(const Map& map, const Part& part) {
  const auto span = [&](const Coordinate& c) __attribute__((always_inline)) {
    const int64_t corner = c.origin + c.right * part.left + c.down * part.top, none = 0;
    const int64_t right = c.right * part.width, down = c.down * part.height;
    const int64_t least = corner + std::min(none, right) + std::min(none, down);
    const int64_t most = corner + std::max(none, right) + std::max(none, down);
    const int64_t first = std::max(none, least >> 32);
    return std::make_pair(first, (std::min(c.last, most) >> 32) + 1 - first);
  };
  const auto [left, width] = span(map.x);
  const auto [top, height] = span(map.y);
  return {top, left, height, width};
}

// Asks for one of kTile shares of a rectangle of the image.
INLINE void prefetch(const Image& image, const Part& part, int64_t share) {
  const int64_t end = (share + 1) * part.height / kTile;
  for (int64_t row = share * part.height / kTile; row < end; ++row) {
    const uint8_t* from = image.pixels + (part.top + row) * image.pitch() + 3 * part.left;
    for (int64_t at = 0; at < 3 * part.width + kLine; at += kLine)
      __builtin_prefetch(from + at, 0, 2);
  }
}

// Writes a part of a view with four bytes to a pixel; its left and width are whole blocks.
//
// Tile after tile, since what a tile sees, turned as it may be, stays in the first two caches.
// While one is made the next one's pixels are asked for: they lie in more rows than the processor
// follows.
void warp(const Image& image, const Map& map, const Part& part, uint8_t* out) {
  const Steps right(map.x), down(map.y);
  Places places;
  for (int64_t left = 0; left < part.width; left += kTile) {
    const int64_t width = std::min(kTile, part.width - left);
    const Part next = seen(map, {part.top, part.left + left + kTile, part.height, kTile});
    const bool near = next.width > 0 && next.height > 0 && next.width * next.height < kFar;
    for (int64_t row = 0; row < part.height; ++row) {
      if (near) prefetch(image, next, row);
      int64_t x = map.x.at(part.left + left, part.top + row);
      int64_t y = map.y.at(part.left + left, part.top + row);
      for (int64_t at = 0; at < width; at += kBlock) {
        locate(image, map, x, y, right, down, places, at);
        x = nearest(x + right.block, map.x.last);
        y = nearest(y + down.block, map.y.last);
      }
      uint8_t* to = out + 4 * (row * part.width + left);
      for (int64_t at = 0; at < width; at += kBlock)
        blend(image, places.first + at, places.upper + at, places.lower + at, to + 4 * at);
    }
  }
}
