#include "fsim/kernels.h"
#include "fsim/lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#define ZEBRA_TARGET __attribute__((target("avx2")))

namespace zebra::fsim {
namespace {

constexpr int kLanes = 8;

// The multipliers, shifts and roundings of every second lane, as int64.
struct ScalerHalf {
  __m256i multiplier, shift, half, top;

  ZEBRA_TARGET void load(__m256i m, __m256i s) {
    const __m256i one = _mm256_set1_epi64x(1);
    multiplier = m;
    shift = s;
    half = _mm256_sllv_epi64(one, _mm256_sub_epi64(s, one));
    top = _mm256_srlv_epi64(_mm256_set1_epi64x(INT64_MIN), s);
  }

  // Of the int64 lanes' low halves.
  ZEBRA_TARGET __m256i round_upward(__m256i x) const {
    const __m256i sum = _mm256_add_epi64(_mm256_mul_epi32(x, multiplier), half);
    // AVX2 has no arithmetic shift of int64: shift it as unsigned, 2^63 larger.
    const __m256i shifted = _mm256_xor_si256(sum, _mm256_set1_epi64x(INT64_MIN));
    return _mm256_sub_epi64(_mm256_srlv_epi64(shifted, shift), top);
  }

  ZEBRA_TARGET __m256i round_down(__m256i magnitude) const {
    return _mm256_srlv_epi64(_mm256_mul_epu32(magnitude, multiplier), shift);
  }
};

// Four lanes are handled as eight of which four are nothing.
template <int L>
struct Scaler {
  ScalerHalf even, odd;

  ZEBRA_TARGET void load(const std::int32_t* m, const std::int32_t* s) {
    const __m256i low = _mm256_set1_epi64x(UINT32_MAX);
    const __m256i multiplier = load_lanes(m), shift = load_lanes(s);
    even.load(multiplier, _mm256_and_si256(shift, low));
    odd.load(_mm256_srli_epi64(multiplier, 32), _mm256_srli_epi64(shift, 32));
  }

  ZEBRA_TARGET void apply(bool truncate, I32<L>& lanes) const {
    __m256i x;
    if constexpr (L == 4)
      x = _mm256_zextsi128_si256((__m128i)lanes);
    else
      x = (__m256i)lanes;
    x = truncate ? round_to_zero(x) : round_upward(x);
    if constexpr (L == 4)
      lanes = (I32<4>)_mm256_castsi256_si128(x);
    else
      lanes = (I32<8>)x;
  }

 private:
  ZEBRA_TARGET static __m256i load_lanes(const std::int32_t* from) {
    if constexpr (L == 4)
      return _mm256_zextsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    else
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }

  ZEBRA_TARGET static __m256i join(__m256i even_lanes, __m256i odd_lanes) {
    return _mm256_blend_epi32(even_lanes, _mm256_slli_epi64(odd_lanes, 32), 0xAA);
  }

  ZEBRA_TARGET __m256i round_upward(__m256i x) const {
    return join(even.round_upward(x), odd.round_upward(_mm256_srli_epi64(x, 32)));
  }

  ZEBRA_TARGET __m256i round_to_zero(__m256i x) const {
    const __m256i size = _mm256_abs_epi32(x), sign = _mm256_srai_epi32(x, 31);
    const __m256i rounded =
        join(even.round_down(size), odd.round_down(_mm256_srli_epi64(size, 32)));
    return _mm256_sub_epi32(_mm256_xor_si256(rounded, sign), sign);
  }
};

template <int L>
ZEBRA_TARGET inline void widen(const std::uint8_t* from, I32<L>& x) {
  if constexpr (L == 4) {
    std::int32_t four;
    std::memcpy(&four, from, 4);
    x = (I32<4>)_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four));
  } else {
    x = (I32<8>)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  }
}

template <int L>
ZEBRA_TARGET inline void narrow(const I32<L>& x, std::uint8_t* to) {
  const __m128i lowest = _mm_set1_epi32(0x0C080400);
  if constexpr (L == 4) {
    const std::int32_t four = _mm_cvtsi128_si32(_mm_shuffle_epi8((__m128i)x, lowest));
    std::memcpy(to, &four, 4);
  } else {
    const __m256i bytes = _mm256_shuffle_epi8((__m256i)x, _mm256_broadcastsi128_si256(lowest));
    const __m128i both =
        _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), both);
  }
}

// Four times the transposition of 4 x 4 int32.
ZEBRA_TARGET inline void load_square(std::size_t block, const std::uint8_t* from, std::int8_t* to) {
  for (std::size_t o = 0; o < 16; o += 4, from += 4 * block, to += 16) {
    const auto row = [&](std::size_t i) __attribute__((always_inline)) ZEBRA_TARGET {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * block));
    };
    const auto store = [&](std::size_t i, __m128i x) __attribute__((always_inline)) ZEBRA_TARGET {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * 4 * block), x);
    };
    const __m128i a = _mm_unpacklo_epi32(row(0), row(1)), b = _mm_unpackhi_epi32(row(0), row(1));
    const __m128i c = _mm_unpacklo_epi32(row(2), row(3)), d = _mm_unpackhi_epi32(row(2), row(3));
    store(0, _mm_unpacklo_epi64(a, c));
    store(1, _mm_unpackhi_epi64(a, c));
    store(2, _mm_unpacklo_epi64(b, d));
    store(3, _mm_unpackhi_epi64(b, d));
  }
}

#include "fsim/lane_kernels.inc"

// `depth` activations as int16; 16, or fewer.
ZEBRA_TARGET inline void widen_all(const std::uint8_t* act, std::size_t depth, std::int16_t* out) {
  const __m256i bias = _mm256_set1_epi16(128);
  if (depth == 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(act));
    const __m256i x = _mm256_sub_epi16(_mm256_cvtepu8_epi16(bytes), bias);
    return _mm256_store_si256(reinterpret_cast<__m256i*>(out), x);
  }
  for (std::size_t i = 0; i < depth; i += 4) {
    std::int32_t four;
    std::memcpy(&four, act + i, 4);
    const __m128i bytes = _mm_cvtepu8_epi16(_mm_cvtsi32_si128(four));
    const __m128i x = _mm_sub_epi16(bytes, _mm256_castsi256_si128(bias));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + i), x);
  }
}

// P pixels times 4 * G lanes. An accumulator holds two partial sums per lane, as vpmaddwd
// leaves them (exact: two products of int8 fit easily), added up at the end.
template <int P, int G>
ZEBRA_TARGET void tile(const GemmTask& task, const GemmPixel* pixels, const GemmPanel& panel) {
  constexpr std::size_t depth = 4 * G;  // BLOCK below 16 has as many input as output lanes
  __m256i sums[P][G];
  for (int p = 0; p < P; ++p)
    for (int g = 0; g < G; ++g) sums[p][g] = _mm256_setzero_si256();
  for (std::size_t s = 0; s < task.step_count; ++s) {
    alignas(32) std::int16_t x[P][kStepLanes];
    for (int p = 0; p < P; ++p)
      widen_all(task.act + pixels[p].act + panel.act + task.steps[s].act, depth, x[p]);
    const std::int8_t* w = task.wgt + panel.wgt + task.steps[s].wgt;
    for (std::size_t i = 0; i < depth; i += 4, w += 4 * task.block) {
      __m256i four[P];
      for (int p = 0; p < P; ++p) {
        long long bits;
        std::memcpy(&bits, x[p] + i, 8);
        four[p] = _mm256_set1_epi64x(bits);
      }
      for (int g = 0; g < G; ++g) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(w + 16 * g));
        const __m256i weights = _mm256_cvtepi8_epi16(bytes);
        for (int p = 0; p < P; ++p)
          sums[p][g] = _mm256_add_epi32(sums[p][g], _mm256_madd_epi16(weights, four[p]));
      }
    }
  }
  for (int p = 0; p < P; ++p)
    for (int g = 0; g < G; ++g) {
      const __m256i pairs = _mm256_hadd_epi32(sums[p][g], sums[p][g]);
      __m128i lanes =
          _mm_unpacklo_epi64(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
      auto* acc = reinterpret_cast<__m128i*>(task.acc + pixels[p].acc + panel.acc + 4 * g);
      if (!task.overwrite) lanes = _mm_add_epi32(lanes, _mm_loadu_si128(acc));
      _mm_storeu_si128(acc, lanes);
    }
}

template <int G>
ZEBRA_TARGET void gemm_panels(const GemmTask& task) {
  for (std::size_t j = 0; j < task.panel_count; ++j) {
    std::size_t p = 0;
    for (; p + 2 <= task.pixel_count; p += 2) tile<2, G>(task, task.pixels + p, task.panels[j]);
    if (p < task.pixel_count) tile<1, G>(task, task.pixels + p, task.panels[j]);
  }
}

ZEBRA_TARGET void gemm(const GemmTask& task) {
  if (task.block >= 16)
    gemm_panels<4>(task);
  else if (task.block == 8)
    gemm_panels<2>(task);
  else
    gemm_panels<1>(task);
}

}  // namespace

const Kernels kAvx2Kernels = {gemm, accum, post, copy_flipped, load_tile};

}  // namespace zebra::fsim

#endif  // __x86_64__
