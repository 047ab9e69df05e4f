#include "fsim/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#define ZEBRA_TARGET \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,prefer-vector-width=512")))

namespace zebra::fsim {
namespace {

#include "fsim/lane_kernels.inc"

ZEBRA_TARGET inline __m512i load_quad(const std::int8_t* w, __mmask16 lanes) {
  return _mm512_maskz_loadu_epi32(lanes, w);
}

// vpdpbusd multiplies unsigned by signed bytes and wraps. Activations are x + 128, so that a sum
// is 128 * (sum of the weights) too large: minus that, for one panel over all steps.
ZEBRA_TARGET inline __m512i correction(const GemmTask& task, const GemmPanel& panel,
                                       __mmask16 lanes) {
  const __m512i bias = _mm512_set1_epi8(static_cast<char>(128));
  __m512i sum = _mm512_setzero_si512();
  for (std::size_t s = 0; s < task.step_count; ++s) {
    const std::int8_t* w = task.wgt + panel.wgt + task.steps[s].wgt;
    for (std::size_t i = 0; i < task.block; i += 4, w += 4 * task.block)
      sum = _mm512_dpbusd_epi32(sum, bias, load_quad(w, lanes));
  }
  return _mm512_sub_epi32(_mm512_setzero_si512(), sum);
}

// P pixels times T panels, all accumulators in registers.
template <int T, int P>
ZEBRA_TARGET void tile(const GemmTask& task, const GemmPixel* pixels, const __m512i* corrections,
                       __mmask16 lanes) {
  __m512i sums[P][T];
  const std::uint8_t* x[P];
  for (int p = 0; p < P; ++p) {
    x[p] = task.act + pixels[p].act + task.panels[0].act;
    for (int t = 0; t < T; ++t) {
      const std::int32_t* acc = task.acc + pixels[p].acc + task.panels[t].acc;
      const __m512i before =
          task.overwrite ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi32(lanes, acc);
      sums[p][t] = _mm512_add_epi32(before, corrections[t]);
    }
  }
  for (std::size_t s = 0; s < task.step_count; ++s) {
    const std::size_t step = task.steps[s].act;
    const std::int8_t* w = task.wgt + task.steps[s].wgt;
    for (std::size_t i = 0; i < task.block; i += 4, w += 4 * task.block) {
      __m512i weights[T];
      for (int t = 0; t < T; ++t) weights[t] = load_quad(w + task.panels[t].wgt, lanes);
      for (int p = 0; p < P; ++p) {
        std::int32_t four;
        std::memcpy(&four, x[p] + step + i, 4);
        const __m512i broadcast = _mm512_set1_epi32(four);
        for (int t = 0; t < T; ++t)
          sums[p][t] = _mm512_dpbusd_epi32(sums[p][t], broadcast, weights[t]);
      }
    }
  }
  for (int p = 0; p < P; ++p)
    for (int t = 0; t < T; ++t)
      _mm512_mask_storeu_epi32(task.acc + pixels[p].acc + task.panels[t].acc, lanes, sums[p][t]);
}

// The last 0..P pixels, as one tile of that many.
template <int T, int P>
ZEBRA_TARGET void rest(const GemmTask& task, std::size_t first, const __m512i* corrections,
                       __mmask16 lanes) {
  if constexpr (P > 0) {
    if (task.pixel_count - first == P)
      tile<T, P>(task, task.pixels + first, corrections, lanes);
    else
      rest<T, P - 1>(task, first, corrections, lanes);
  }
}

template <int T, int P>
ZEBRA_TARGET void gemm_panels(const GemmTask& task) {
  const auto lanes = static_cast<__mmask16>((1u << (task.block < 16 ? task.block : 16)) - 1);
  __m512i corrections[T];
  for (int t = 0; t < T; ++t) corrections[t] = correction(task, task.panels[t], lanes);
  std::size_t p = 0;
  for (; p + P <= task.pixel_count; p += P) tile<T, P>(task, task.pixels + p, corrections, lanes);
  rest<T, P - 1>(task, p, corrections, lanes);
}

// T * P accumulators, T weights and a broadcast must fit in 32 registers.
ZEBRA_TARGET void gemm(const GemmTask& task) {
  switch (task.panel_count) {
    case 4:
      return gemm_panels<4, 6>(task);
    case 3:
      return gemm_panels<3, 8>(task);
    case 2:
      return gemm_panels<2, 12>(task);
    default:
      return gemm_panels<1, 12>(task);
  }
}

}  // namespace

const Kernels kAvx512VnniKernels = {gemm, accum, post};

}  // namespace zebra::fsim

#endif  // __x86_64__
