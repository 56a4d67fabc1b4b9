// Pixels of three bytes to pixels of four and back, where there are shuffles of bytes.

INLINE void shuffle_16_bytes(const uint8_t* from, __m128i order, uint8_t* out) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(bytes, order));
}

// Writes four pixels; reads 16 bytes.
INLINE void add_fourth(const uint8_t* from, uint8_t* out) {
  shuffle_16_bytes(from, _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1), out);
}

// Writes four pixels, and four bytes more.
INLINE void drop_fourth(const uint8_t* from, uint8_t* out) {
  shuffle_16_bytes(from, _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1),
                   out);
}
