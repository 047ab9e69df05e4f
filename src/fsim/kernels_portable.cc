#include <cstring>

#include "fsim/kernels.h"
#include "fsim/lanes.h"

namespace zebra::fsim {
namespace {

#define ZEBRA_TARGET
constexpr int kLanes = 4;

template <int L>
void requantize(bool truncate, I32<L>& x, const std::int32_t* m, const std::int32_t* s) {
  for (int l = 0; l < L; ++l) {
    const std::int64_t wide = x[l];
    if (truncate) {
      const std::int64_t magnitude = ((wide < 0 ? -wide : wide) * m[l]) >> s[l];
      x[l] = static_cast<std::int32_t>(wide < 0 ? -magnitude : magnitude);
    } else {
      const std::int64_t half = std::int64_t{1} << (s[l] - 1);
      x[l] = static_cast<std::int32_t>((wide * m[l] + half) >> s[l]);
    }
  }
}

#include "fsim/lane_kernels.inc"

void gemm_pixel(const GemmTask& task, const GemmPixel& pixel, const GemmPanel& panel) {
  const std::size_t block = task.block;
  const std::size_t lanes = block < kPanelLanes ? block : kPanelLanes;
  const std::size_t depth = block < kStepLanes ? block : kStepLanes;
  std::uint32_t sums[kPanelLanes] = {};
  for (std::size_t s = 0; s < task.step_count; ++s) {
    const std::uint8_t* x = task.act + pixel.act + panel.act + task.steps[s].act;
    const std::int8_t* w = task.wgt + panel.wgt + task.steps[s].wgt;
    for (std::size_t i = 0; i < depth; i += 4, w += 4 * block)
      for (std::size_t o = 0; o < lanes; ++o)
        for (std::size_t k = 0; k < 4; ++k)
          sums[o] += static_cast<std::uint32_t>((x[i + k] - 128) * w[4 * o + k]);
  }
  std::int32_t* acc = task.acc + pixel.acc + panel.acc;
  for (std::size_t o = 0; o < lanes; ++o) {
    const std::uint32_t before = task.overwrite ? 0 : static_cast<std::uint32_t>(acc[o]);
    acc[o] = static_cast<std::int32_t>(before + sums[o]);
  }
}

void gemm(const GemmTask& task) {
  for (std::size_t p = 0; p < task.pixel_count; ++p)
    for (std::size_t j = 0; j < task.panel_count; ++j)
      gemm_pixel(task, task.pixels[p], task.panels[j]);
}

}  // namespace

const Kernels kPortableKernels = {gemm, accum, post};

}  // namespace zebra::fsim
