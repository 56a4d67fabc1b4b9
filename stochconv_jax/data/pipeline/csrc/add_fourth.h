// Pixels of three bytes to pixels of four, where there are shuffles of bytes.

// Writes four pixels; reads 16 bytes.
INLINE void add_fourth(const uint8_t* from, uint8_t* out) {
  const __m128i order = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_shuffle_epi8(bytes, order));
}
