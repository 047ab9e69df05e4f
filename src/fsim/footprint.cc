#include "fsim/footprint.h"

#include <algorithm>

namespace zebra::fsim {

void Footprint::add(std::uint64_t extent, std::uint64_t stride) {
  if (extent == 1) return;
  last_ += (extent - 1) * stride;
  dims_[count_++] = {extent, stride};
}

Footprint Footprint::sorted() const {
  Footprint result = *this;
  std::sort(result.dims_, result.dims_ + result.count_,
            [](const Dim& a, const Dim& b) { return a.stride < b.stride; });
  return result;
}

Footprint Footprint::merged() const {
  const Footprint ordered = sorted();
  Footprint result = *this;
  result.count_ = 0;
  for (std::size_t i = 0; i < ordered.count_; ++i) {
    const Dim& dim = ordered.dims_[i];
    if (dim.stride == 0) continue;
    if (result.count_ > 0) {
      Dim& below = result.dims_[result.count_ - 1];
      const std::uint64_t ratio = dim.stride / below.stride;
      if (dim.stride % below.stride == 0 && ratio <= below.extent) {
        below.extent += (dim.extent - 1) * ratio;
        continue;
      }
    }
    result.dims_[result.count_++] = dim;
  }
  return result;
}

std::uint64_t Footprint::run_count() const {
  std::uint64_t count = 1;
  for (std::size_t i = dense() ? 1 : 0; i < count_; ++i) count *= dims_[i].extent;
  return count;
}

bool Footprint::injective() const {
  const Footprint ordered = sorted();
  std::uint64_t reach = 0;
  for (std::size_t i = 0; i < ordered.count_; ++i) {
    const Dim& dim = ordered.dims_[i];
    if (dim.stride <= reach) return false;
    reach += (dim.extent - 1) * dim.stride;
  }
  return true;
}

}  // namespace zebra::fsim
