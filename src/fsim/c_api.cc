#include "zebra/c_api.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <type_traits>

#include "zebra/simulator.h"
#include "zebra/verifier.h"

namespace {

using zebra::Kernel;
using zebra::Status;

static_assert(ZEBRA_OK == static_cast<int>(Status::kOk));
static_assert(ZEBRA_ENCODING_ERROR == static_cast<int>(Status::kEncodingError));
static_assert(ZEBRA_OPERAND_ERROR == static_cast<int>(Status::kOperandError));
static_assert(ZEBRA_TOKEN_ERROR == static_cast<int>(Status::kTokenError));
static_assert(ZEBRA_ADDRESS_ERROR == static_cast<int>(Status::kAddressError));
static_assert(ZEBRA_UNINITIALIZED_ERROR == static_cast<int>(Status::kUninitializedError));
static_assert(ZEBRA_ARTIFACT_ERROR == static_cast<int>(Status::kArtifactError));
static_assert(ZEBRA_DRIVER_ERROR == static_cast<int>(Status::kDriverError));
static_assert(ZEBRA_KERNEL_PORTABLE == static_cast<int>(Kernel::kPortable));
static_assert(ZEBRA_KERNEL_AVX2 == static_cast<int>(Kernel::kAvx2));
static_assert(ZEBRA_KERNEL_AVX512_VNNI == static_cast<int>(Kernel::kAvx512Vnni));
static_assert(sizeof(ZebraCounters) == sizeof(zebra::Counters) &&
              std::is_trivially_copyable<zebra::Counters>::value);

void put_message(const char* text, char* error, size_t error_bytes) {
  if (error == nullptr || error_bytes == 0) return;
  const size_t length = std::min(std::strlen(text), error_bytes - 1);
  std::memcpy(error, text, length);
  error[length] = '\0';
}

std::vector<zebra::Span> spans_of(const ZebraSpan* spans, uint64_t count) {
  std::vector<zebra::Span> result;
  for (uint64_t i = 0; i < count; ++i) result.push_back({spans[i].start, spans[i].size});
  return result;
}

zebra::HwSizes sizes_of(const ZebraHwSizes& sizes) {
  zebra::HwSizes result;
  result.rows = sizes.rows;
  result.block = sizes.block;
  result.act = sizes.act;
  result.wgt = sizes.wgt;
  result.acc = sizes.acc;
  result.par = sizes.par;
  result.tab = sizes.tab;
  result.mult_width = sizes.mult_width;
  return result;
}

zebra::Program program_of(const ZebraJob& job) {
  zebra::Program program;
  program.code = job.code;
  program.code_bytes = job.code_bytes;
  program.dram_bytes = job.dram_bytes;
  program.constant_bytes = job.constant_bytes;
  program.inputs = spans_of(job.inputs, job.input_count);
  program.outputs = spans_of(job.outputs, job.output_count);
  return program;
}

bool has_null(const ZebraJob* job) {
  return job == nullptr || (job->inputs == nullptr && job->input_count > 0) ||
         (job->outputs == nullptr && job->output_count > 0);
}

}  // namespace

uint32_t zebra_sim_abi_version(void) { return ZEBRA_ABI_VERSION; }

int zebra_sim_kernel_available(uint32_t kernel) {
  return kernel <= ZEBRA_KERNEL_AVX512_VNNI && zebra::kernel_available(static_cast<Kernel>(kernel));
}

int zebra_sim_run(const ZebraJob* job, ZebraCounters* counters, char* error, size_t error_bytes) {
  put_message("", error, error_bytes);
  if (has_null(job) || job->kernel > ZEBRA_KERNEL_AVX512_VNNI) {
    put_message("fsim: the job has a null pointer or an unknown kernel", error, error_bytes);
    return ZEBRA_DRIVER_ERROR;
  }
  try {
    zebra::RunOptions options;
    options.threads = job->threads;
    options.kernel = static_cast<Kernel>(job->kernel);
    const zebra::Simulator simulator(sizes_of(job->sizes), options);
    zebra::Counters counted;
    std::string message;
    const Status status = simulator.run(program_of(*job), job->dram, &counted, &message);
    if (counters != nullptr) std::memcpy(counters, &counted, sizeof(counted));
    put_message(message.c_str(), error, error_bytes);
    return static_cast<int>(status);
  } catch (const std::bad_alloc&) {
    put_message("fsim: there is not enough memory for the job", error, error_bytes);
    return ZEBRA_DRIVER_ERROR;
  }
}

int zebra_verify(const ZebraJob* job, char* error, size_t error_bytes) {
  put_message("", error, error_bytes);
  if (has_null(job)) {
    put_message("verify: the job has a null pointer", error, error_bytes);
    return ZEBRA_DRIVER_ERROR;
  }
  try {
    std::string message;
    const Status status = zebra::verify(sizes_of(job->sizes), program_of(*job), &message);
    put_message(message.c_str(), error, error_bytes);
    return static_cast<int>(status);
  } catch (const std::bad_alloc&) {
    put_message("verify: there is not enough memory for the job", error, error_bytes);
    return ZEBRA_DRIVER_ERROR;
  }
}
