#include "fsim/kernels.h"

#include "common/error.h"

namespace zebra {

bool kernel_available(Kernel kernel) noexcept {
  switch (kernel) {
    case Kernel::kAuto:
    case Kernel::kPortable:
      return true;
#if defined(__x86_64__)
    case Kernel::kAvx2:
      return __builtin_cpu_supports("avx2");
    case Kernel::kAvx512Vnni:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512vnni");
#else
    case Kernel::kAvx2:
    case Kernel::kAvx512Vnni:
      return false;
#endif
  }
  return false;
}

namespace fsim {

const Kernels& find_kernels(Kernel kernel) {
  if (!kernel_available(kernel))
    fail(Status::kDriverError, "fsim: this CPU cannot run kernel ", static_cast<int>(kernel),
         "; use kernel 0 (auto)");
#if defined(__x86_64__)
  if (kernel == Kernel::kAvx512Vnni) return kAvx512VnniKernels;
  if (kernel == Kernel::kAvx2) return kAvx2Kernels;
  if (kernel == Kernel::kAuto) {
    if (kernel_available(Kernel::kAvx512Vnni)) return kAvx512VnniKernels;
    if (kernel_available(Kernel::kAvx2)) return kAvx2Kernels;
  }
#endif
  return kPortableKernels;
}

}  // namespace fsim
}  // namespace zebra
