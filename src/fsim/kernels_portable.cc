#include <algorithm>
#include <cstring>

#include "fsim/kernels.h"
#include "fsim/lanes.h"

namespace zebra::fsim {
namespace {

#define ZEBRA_TARGET
constexpr int kLanes = 4;

template <int L>
struct Scaler {
  std::int32_t multiplier[L], shift[L];

  void load(const std::int32_t* m, const std::int32_t* s) {
    std::memcpy(multiplier, m, sizeof(multiplier));
    std::memcpy(shift, s, sizeof(shift));
  }

  void apply(bool truncate, I32<L>& x) const {
    for (int l = 0; l < L; ++l) {
      const std::int64_t wide = x[l], m = multiplier[l];
      if (truncate) {
        const std::int64_t magnitude = ((wide < 0 ? -wide : wide) * m) >> shift[l];
        x[l] = static_cast<std::int32_t>(wide < 0 ? -magnitude : magnitude);
      } else {
        const std::int64_t half = std::int64_t{1} << (shift[l] - 1);
        x[l] = static_cast<std::int32_t>((wide * m + half) >> shift[l]);
      }
    }
  }
};

template <int L>
inline void widen(const std::uint8_t* from, I32<L>& x) {
  std::int32_t lanes[L];
  for (int l = 0; l < L; ++l) lanes[l] = from[l];
  std::memcpy(&x, lanes, sizeof(x));
}

template <int L>
inline void narrow(const I32<L>& x, std::uint8_t* to) {
  for (int l = 0; l < L; ++l) to[l] = static_cast<std::uint8_t>(x[l]);
}

inline void load_square(std::size_t block, const std::uint8_t* from, std::int8_t* to) {
  for (std::size_t i = 0; i < 16; i += 4, to += 4 * block)
    for (std::size_t o = 0; o < 16; ++o) std::memcpy(to + 4 * o, from + o * block + i, 4);
}

#include "fsim/lane_kernels.inc"

// GEMM in single precision: floats hold every integer up to 2^24, and so all sums of kExactDepth
// products of int8 exactly. Unlike for int32, every CPU multiplies vectors of them well.
using Floats __attribute__((vector_size(16))) = float;
constexpr std::size_t kDepth = 256;  // input lanes at a time, so that weights stay in the L1 cache
constexpr std::size_t kExactDepth = (1 << 24) / (128 * 128);
static_assert(kDepth <= kExactDepth);

void to_floats(const Floats& from, float* to) { std::memcpy(to, &from, sizeof(from)); }

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "an int32 holds four weights in order");

// One panel's weights as [input lane][output lane], from four lanes of each at a time.
void convert_weights(const GemmTask& task, const GemmPanel& panel, std::size_t lanes,
                     std::size_t depth, float* to) {
  for (std::size_t s = 0; s < task.step_count; ++s) {
    const std::int8_t* w = task.wgt + panel.wgt + task.steps[s].wgt;
    for (std::size_t i = 0; i < depth; i += 4, w += 4 * task.block, to += 4 * lanes)
      for (std::size_t o = 0; o < lanes; o += 4) {
        U32<4> quads;
        std::memcpy(&quads, w + 4 * o, sizeof(quads));
        for (std::size_t k = 0; k < 4; ++k) {
          const auto top = (I32<4>)(quads << (24 - 8 * static_cast<std::uint32_t>(k)));
          to_floats(__builtin_convertvector(top >> 24, Floats), to + k * lanes + o);
        }
      }
  }
}

// The activations of all steps, of `Depth` input lanes each.
template <std::size_t Depth>
void convert_activations(const GemmTask& task, std::size_t act, float* to) {
  for (std::size_t s = 0; s < task.step_count; ++s, to += Depth) {
    const std::uint8_t* x = task.act + act + task.steps[s].act;
    for (std::size_t i = 0; i < Depth; ++i) to[i] = static_cast<float>(x[i] - 128);
  }
}

// P pixels times 4 * G output lanes over `depth` input lanes; x[p] are the pixels' activations.
template <std::size_t P, std::size_t G>
void tile(const GemmTask& task, const GemmPixel* pixels, const GemmPanel& panel,
          const float (*x)[kDepth], const float* weights, std::size_t depth) {
  Floats sums[P][G] = {};
  for (std::size_t i = 0; i < depth; ++i)
    for (std::size_t g = 0; g < G; ++g, weights += 4) {
      Floats w;
      std::memcpy(&w, weights, sizeof(w));
      for (std::size_t p = 0; p < P; ++p) sums[p][g] += w * x[p][i];
    }
  for (std::size_t p = 0; p < P; ++p)
    for (std::size_t g = 0; g < G; ++g) {
      I32<4> sum = __builtin_convertvector(sums[p][g], I32<4>), before = {};
      std::int32_t* acc = task.acc + pixels[p].acc + panel.acc + 4 * g;
      if (!task.overwrite) load<4>(before, acc);
      add<4>(sum, before);
      std::memcpy(acc, &sum, sizeof(sum));
    }
}

// One panel of all pixels; the steps have together at most kDepth input lanes.
template <std::size_t G>
void gemm_panel(const GemmTask& task, const GemmPanel& panel) {
  constexpr std::size_t lanes = 4 * G;  // BLOCK below 16 has as many input as output lanes
  constexpr std::size_t most = 3;       // as many as leave their sums in registers
  const std::size_t depth = task.step_count * lanes;
  float weights[kDepth * lanes], x[most][kDepth];
  convert_weights(task, panel, lanes, lanes, weights);
  for (std::size_t first = 0; first < task.pixel_count; first += most) {
    const GemmPixel* pixels = task.pixels + first;
    const std::size_t count = std::min(most, task.pixel_count - first);
    for (std::size_t p = 0; p < count; ++p)
      convert_activations<lanes>(task, pixels[p].act + panel.act, x[p]);
    if (count == most)
      tile<most, G>(task, pixels, panel, x, weights, depth);
    else if (count == 2)
      tile<2, G>(task, pixels, panel, x, weights, depth);
    else
      tile<1, G>(task, pixels, panel, x, weights, depth);
  }
}

void gemm(const GemmTask& whole) {
  GemmTask task = whole;
  const std::size_t most = kDepth / std::min<std::size_t>(task.block, kStepLanes);
  for (std::size_t left = task.step_count; left > 0; left -= task.step_count) {
    task.step_count = std::min(left, most);
    for (std::size_t j = 0; j < task.panel_count; ++j) {
      if (task.block >= 16)
        gemm_panel<4>(task, task.panels[j]);
      else if (task.block == 8)
        gemm_panel<2>(task, task.panels[j]);
      else
        gemm_panel<1>(task, task.panels[j]);
    }
    task.steps += task.step_count;
    task.overwrite = false;
  }
}

}  // namespace

const Kernels kPortableKernels = {gemm, accum, post, copy_flipped, load_tile};

}  // namespace zebra::fsim
