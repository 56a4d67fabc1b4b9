// Vectors of kLanes floats; the loops include this once for each width.

using Vector __attribute__((vector_size(4 * kLanes))) = float;

// V is Vector, or float for what fills no vector.
template <typename V>
INLINE void load(const float* from, V& value) {
  std::memcpy(&value, from, sizeof(V));
}

template <typename V>
INLINE void store(const V& value, float* to) {
  std::memcpy(to, &value, sizeof(V));
}
