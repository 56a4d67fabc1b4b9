// Compiling loops for processors that have wider vectors than all have.

#ifndef STOCHCONV_JAX_TARGETS_H_
#define STOCHCONV_JAX_TARGETS_H_

#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))

// What stands between these is compiled for processors that have the features.
#define TEXT(words) _Pragma(#words)
#if defined(__clang__)
#define BEGIN_TARGET(features) \
  TEXT(clang attribute push(__attribute__((target(features))), apply_to = function))
#define END_TARGET TEXT(clang attribute pop)
#else
#define BEGIN_TARGET(features) TEXT(GCC push_options) TEXT(GCC target(features))
#define END_TARGET TEXT(GCC pop_options)
#endif
#define AVX512_FEATURES "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
#define AVX2_FEATURES "avx2,fma"

// Returns the floats of the widest vectors to use, 16, 8 or 4: those that the processor has, at
// most those that XLA was told to use (XLA_FLAGS=--xla_cpu_max_isa=AVX2).
inline int widest_vector() {
#if defined(__x86_64__)
  const char* flags = std::getenv("XLA_FLAGS");
  const char* limit = flags ? std::strstr(flags, "--xla_cpu_max_isa=") : nullptr;
  limit = limit ? std::strchr(limit, '=') + 1 : "AVX512";
  const bool wide = std::strncmp(limit, "AVX512", 6) == 0 || std::strncmp(limit, "AMX", 3) == 0;
  if (wide && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return 16;
  if ((wide || std::strncmp(limit, "AVX2", 4) == 0) && __builtin_cpu_supports("avx2") &&
      __builtin_cpu_supports("fma"))
    return 8;
#endif
  return 4;
}

// A function of the loops that are compiled for each width, as this processor is to run it.
#if defined(__x86_64__)
#define WIDEST(function)                        \
  (widest_vector() == 16  ? &lanes_16::function \
   : widest_vector() == 8 ? &lanes_8::function  \
                          : &lanes_4::function)
#else
#define WIDEST(function) (&lanes_4::function)
#endif

#endif  // STOCHCONV_JAX_TARGETS_H_
