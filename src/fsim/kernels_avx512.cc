#include "fsim/kernels.h"
#include "fsim/lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>
#include <utility>

#define ZEBRA_TARGET \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prefer-vector-width=512")))

namespace zebra::fsim {
namespace {

constexpr int kLanes = 16;

// The multipliers, shifts and roundings of every second lane, as int64.
struct ScalerHalf {
  __m512i multiplier, shift, half;

  ZEBRA_TARGET void load(__m512i m, __m512i s) {
    const __m512i one = _mm512_set1_epi64(1);
    multiplier = m;
    shift = s;
    half = _mm512_sllv_epi64(one, _mm512_sub_epi64(s, one));
  }

  // Of the int64 lanes' low halves.
  ZEBRA_TARGET __m512i round_upward(__m512i x) const {
    return _mm512_srav_epi64(_mm512_add_epi64(_mm512_mul_epi32(x, multiplier), half), shift);
  }

  ZEBRA_TARGET __m512i round_down(__m512i magnitude) const {
    return _mm512_srlv_epi64(_mm512_mul_epu32(magnitude, multiplier), shift);
  }
};

// Fewer than 16 lanes are handled as 16 of which some are nothing.
template <int L>
struct Scaler {
  static constexpr auto kMask = static_cast<__mmask16>((1u << L) - 1);
  ScalerHalf even, odd;

  ZEBRA_TARGET void load(const std::int32_t* m, const std::int32_t* s) {
    const __m512i low = _mm512_set1_epi64(UINT32_MAX);
    const __m512i multiplier = _mm512_maskz_loadu_epi32(kMask, m);
    const __m512i shift = _mm512_maskz_loadu_epi32(kMask, s);
    even.load(multiplier, _mm512_and_si512(shift, low));
    odd.load(_mm512_srli_epi64(multiplier, 32), _mm512_srli_epi64(shift, 32));
  }

  ZEBRA_TARGET void apply(bool truncate, I32<L>& lanes) const {
    __m512i x;
    if constexpr (L == 4)
      x = _mm512_zextsi128_si512((__m128i)lanes);
    else if constexpr (L == 8)
      x = _mm512_zextsi256_si512((__m256i)lanes);
    else
      x = (__m512i)lanes;
    x = truncate ? round_to_zero(x) : round_upward(x);
    if constexpr (L == 4)
      lanes = (I32<4>)_mm512_castsi512_si128(x);
    else if constexpr (L == 8)
      lanes = (I32<8>)_mm512_castsi512_si256(x);
    else
      lanes = (I32<16>)x;
  }

 private:
  ZEBRA_TARGET static __m512i join(__m512i even_lanes, __m512i odd_lanes) {
    return _mm512_mask_shuffle_epi32(even_lanes, 0xAAAA, odd_lanes, _MM_PERM_CCAA);
  }

  ZEBRA_TARGET __m512i round_upward(__m512i x) const {
    return join(even.round_upward(x), odd.round_upward(_mm512_srli_epi64(x, 32)));
  }

  ZEBRA_TARGET __m512i round_to_zero(__m512i x) const {
    const __m512i size = _mm512_abs_epi32(x), zero = _mm512_setzero_si512();
    const __m512i rounded =
        join(even.round_down(size), odd.round_down(_mm512_srli_epi64(size, 32)));
    return _mm512_mask_sub_epi32(rounded, _mm512_movepi32_mask(x), zero, rounded);
  }
};

template <int L>
ZEBRA_TARGET inline void widen(const std::uint8_t* from, I32<L>& x) {
  if constexpr (L == 4) {
    std::int32_t four;
    std::memcpy(&four, from, 4);
    x = (I32<4>)_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four));
  } else if constexpr (L == 8) {
    x = (I32<8>)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  } else {
    x = (I32<16>)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
}

template <int L>
ZEBRA_TARGET inline void narrow(const I32<L>& x, std::uint8_t* to) {
  if constexpr (L == 4) {
    const std::int32_t four = _mm_cvtsi128_si32(_mm_cvtepi32_epi8((__m128i)x));
    std::memcpy(to, &four, 4);
  } else if constexpr (L == 8) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm256_cvtepi32_epi8((__m256i)x));
  } else {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8((__m512i)x));
  }
}

// The transposition of 16 x 4 int32.
ZEBRA_TARGET inline void load_square(std::size_t block, const std::uint8_t* from, std::int8_t* to) {
  // Of rows 4k..4k+3, which a register holds: the columns 0 and 1, or 2 and 3, of two registers.
  const __m512i left = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
  const __m512i right = _mm512_add_epi32(left, _mm512_set1_epi32(2));
  const auto rows = [&](std::size_t o) __attribute__((always_inline)) ZEBRA_TARGET {
    const std::uint8_t* at = from + o * block;
    const auto row = [&](std::size_t i) __attribute__((always_inline)) ZEBRA_TARGET {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + i * block));
    };
    if (block == 16) return _mm512_loadu_si512(at);
    const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(row(0)), row(1), 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(row(2)), row(3), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  };
  const auto store = [&](std::size_t quad, __m512i x) __attribute__((always_inline)) ZEBRA_TARGET {
    _mm512_storeu_si512(to + quad * 4 * block, x);
  };
  const __m512i a = rows(0), b = rows(4), c = rows(8), d = rows(12);
  const __m512i ab = _mm512_permutex2var_epi32(a, left, b);
  const __m512i cd = _mm512_permutex2var_epi32(c, left, d);
  store(0, _mm512_shuffle_i64x2(ab, cd, 0x44));
  store(1, _mm512_shuffle_i64x2(ab, cd, 0xEE));
  const __m512i ab2 = _mm512_permutex2var_epi32(a, right, b);
  const __m512i cd2 = _mm512_permutex2var_epi32(c, right, d);
  store(2, _mm512_shuffle_i64x2(ab2, cd2, 0x44));
  store(3, _mm512_shuffle_i64x2(ab2, cd2, 0xEE));
}

#include "fsim/lane_kernels.inc"

// Four bytes each, or an int32, of the output lanes of a panel: as many lanes as there are input
// lanes in a step.
template <std::size_t Quads>
ZEBRA_TARGET inline __m512i load_lanes(const void* from) {
  if constexpr (Quads == 1)
    return _mm512_zextsi128_si512(_mm_loadu_si128(static_cast<const __m128i*>(from)));
  else if constexpr (Quads == 2)
    return _mm512_zextsi256_si512(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
  else
    return _mm512_loadu_si512(from);
}

template <std::size_t Quads>
ZEBRA_TARGET inline void store_lanes(std::int32_t* to, __m512i x) {
  if constexpr (Quads == 1)
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_castsi512_si128(x));
  else if constexpr (Quads == 2)
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(x));
  else
    _mm512_storeu_si512(to, x);
}

// The activations of four input lanes, for every output lane.
ZEBRA_TARGET inline __m512i broadcast(const std::uint8_t* x) {
  std::int32_t four;
  std::memcpy(&four, x, 4);
  return _mm512_set1_epi32(four);
}

// sum = vpdpbusd(sum, x, w), in its register: the intrinsic makes GCC copy and spill sums.
ZEBRA_TARGET inline void accumulate(__m512i& sum, __m512i x, __m512i w) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
}

// vpdpbusd multiplies unsigned by signed bytes and wraps. Activations are x + 128, so that a sum
// is 128 * (sum of the weights) too large: minus that, for T panels over all steps. Each panel
// is summed in several chains, so that no addition waits for the one before.
template <std::size_t Quads, std::size_t T, std::size_t... Sum>
ZEBRA_TARGET inline void correct(const GemmTask& task, __m512i* corrections,
                                 std::index_sequence<Sum...>) {
  constexpr std::size_t chains = sizeof...(Sum) / T;
  const __m512i bias = _mm512_set1_epi8(static_cast<char>(128)), zero = _mm512_setzero_si512();
  __m512i sums[] = {(static_cast<void>(Sum), zero)...};
  const std::size_t stride = 4 * task.block;
  const std::size_t wgt[] = {task.panels[Sum % T].wgt + Sum / T * stride...};
  for (std::size_t s = 0; s < task.step_count; ++s) {
    const std::int8_t* w = task.wgt + task.steps[s].wgt;
    for (std::size_t quad = 0; quad < Quads; quad += chains, w += chains * stride)
      (accumulate(sums[Sum], bias, load_lanes<Quads>(w + wgt[Sum])), ...);
  }
  ((corrections[Sum % T] = _mm512_sub_epi32(Sum < T ? zero : corrections[Sum % T], sums[Sum])),
   ...);
}

// What a tile's accumulator `i` (pixel i / T, panel i % T) starts from.
template <std::size_t Quads, std::size_t T>
ZEBRA_TARGET inline __m512i start(const GemmTask& task, const GemmPixel* pixels,
                                  const __m512i* corrections, std::size_t i) {
  if (task.overwrite) return corrections[i % T];
  const std::int32_t* acc = task.acc + pixels[i / T].acc + task.panels[i % T].acc;
  return _mm512_add_epi32(load_lanes<Quads>(acc), corrections[i % T]);
}

// P pixels times T panels, all accumulators in registers: there is one loop, and arrays are
// indexed by constants only, because the compiler keeps others in memory.
template <std::size_t T, std::size_t P, std::size_t... Quad, std::size_t... Panel,
          std::size_t... Pixel, std::size_t... Sum>
ZEBRA_TARGET inline void tile(const GemmTask& task, const GemmPixel* pixels,
                              const __m512i* corrections, std::index_sequence<Quad...>,
                              std::index_sequence<Panel...>, std::index_sequence<Pixel...>,
                              std::index_sequence<Sum...>) {
  __m512i sums[] = {start<sizeof...(Quad), T>(task, pixels, corrections, Sum)...};
  const std::uint8_t* const act = task.act + task.panels[0].act;
  const std::uint8_t* const x[] = {act + pixels[Pixel].act...};
  const std::size_t wgt[] = {task.panels[Panel].wgt...};
  const std::size_t stride = 4 * task.block;
  const GemmStep* const end = task.steps + task.step_count;
  for (const GemmStep* step = task.steps; step != end; ++step) {
    const std::size_t at = step->act;
    const std::int8_t* const w = task.wgt + step->wgt;
    const auto quad = [&](std::size_t q) __attribute__((always_inline)) ZEBRA_TARGET {
      const __m512i weights[] = {load_lanes<sizeof...(Quad)>(w + wgt[Panel] + q * stride)...};
      __m512i four;
      ((four = Sum % T == 0 ? broadcast(x[Sum / T] + at + 4 * q) : four,
        accumulate(sums[Sum], four, weights[Sum % T])),
       ...);
    };
    (quad(Quad), ...);
  }
  (store_lanes<sizeof...(Quad)>(task.acc + pixels[Sum / T].acc + task.panels[Sum % T].acc,
                                sums[Sum]),
   ...);
}

template <std::size_t Quads, std::size_t T, std::size_t P>
ZEBRA_TARGET void tile(const GemmTask& task, const GemmPixel* pixels, const __m512i* corrections) {
  tile<T, P>(task, pixels, corrections, std::make_index_sequence<Quads>(),
             std::make_index_sequence<T>(), std::make_index_sequence<P>(),
             std::make_index_sequence<T * P>());
}

// The last 0..P pixels, as one tile of that many.
template <std::size_t Quads, std::size_t T, std::size_t P>
ZEBRA_TARGET void rest(const GemmTask& task, std::size_t first, const __m512i* corrections) {
  if constexpr (P > 0) {
    if (task.pixel_count - first == P)
      tile<Quads, T, P>(task, task.pixels + first, corrections);
    else
      rest<Quads, T, P - 1>(task, first, corrections);
  }
}

// The first T panels of the task, P pixels at a time.
template <std::size_t Quads, std::size_t T, std::size_t P>
ZEBRA_TARGET void gemm_panels(const GemmTask& task) {
  __m512i corrections[T];
  correct<Quads, T>(task, corrections, std::make_index_sequence<T*(Quads < 2 ? 1 : 2)>());
  std::size_t p = 0;
  for (; p + P <= task.pixel_count; p += P) tile<Quads, T, P>(task, task.pixels + p, corrections);
  rest<Quads, T, P - 1>(task, p, corrections);
}

// T * P accumulators, T weights and a broadcast must fit in 32 registers.
ZEBRA_TARGET void gemm(const GemmTask& task) {
  if (task.block >= 16) {
    if (task.panel_count == 4) return gemm_panels<4, 4, 6>(task);
    if (task.panel_count == 3) return gemm_panels<4, 3, 8>(task);
    if (task.panel_count == 2) return gemm_panels<4, 2, 12>(task);
    return gemm_panels<4, 1, 12>(task);
  }
  GemmTask one = task;
  for (one.panel_count = 1; one.panels < task.panels + task.panel_count; ++one.panels) {
    if (task.block == 8)
      gemm_panels<2, 1, 8>(one);
    else
      gemm_panels<1, 1, 8>(one);
  }
}

}  // namespace

const Kernels kAvx512VnniKernels = {gemm, accum, post, copy_flipped, load_tile};

}  // namespace zebra::fsim

#endif  // __x86_64__
