#include "zebra/c_api.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>

#include "zebra/cycle.h"

namespace {

using zebra::CycleRecord;
using zebra::CycleTotals;

static_assert(ZEBRA_SPENT_KINDS == zebra::kSpentKinds);
static_assert(sizeof(ZebraCycleRecord) == sizeof(CycleRecord) &&
              std::is_trivially_copyable<CycleRecord>::value);
static_assert(sizeof(ZebraCycleTotals) == sizeof(CycleTotals) &&
              std::is_trivially_copyable<CycleTotals>::value);

void put_message(const std::string& text, char* error, size_t error_bytes) {
  if (error == nullptr || error_bytes == 0) return;
  const size_t length = std::min(text.size(), error_bytes - 1);
  std::memcpy(error, text.data(), length);
  error[length] = '\0';
}

zebra::HwSizes sizes_of(const ZebraHwSizes& sizes) {
  zebra::HwSizes result;
  static_assert(sizeof(result) == sizeof(sizes) &&
                std::is_trivially_copyable<zebra::HwSizes>::value);
  std::memcpy(static_cast<void*>(&result), &sizes, sizeof(result));
  return result;
}

}  // namespace

int zebra_cycle_run(const ZebraCycleJob* job, ZebraCycleTotals* totals, ZebraCycleRecord* records,
                    char* error, size_t error_bytes) {
  put_message("", error, error_bytes);
  if (job == nullptr || totals == nullptr) {
    put_message("cycle: the job or the totals are a null pointer", error, error_bytes);
    return ZEBRA_DRIVER_ERROR;
  }
  const zebra::DramTiming dram = {job->dram_bytes_per_cycle, job->dram_latency,
                                  job->dram_burst_bytes};
  CycleTotals counted;
  std::string message;
  const zebra::Status status =
      zebra::simulate_cycles(sizes_of(job->sizes), dram, job->code, job->code_bytes, &counted,
                             reinterpret_cast<CycleRecord*>(records), &message);
  std::memcpy(totals, &counted, sizeof(counted));
  put_message(message, error, error_bytes);
  return static_cast<int>(status);
}
