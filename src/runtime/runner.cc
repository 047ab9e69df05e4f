#include "runner.h"

#include <chrono>
#include <cstring>
#include <new>

#include "pack.h"

namespace zebra {
namespace {

const char* ErrorClass(Status status) {
  switch (status) {
    case Status::kEncodingError:
      return "EncodingError";
    case Status::kOperandError:
      return "OperandError";
    case Status::kTokenError:
      return "TokenError";
    case Status::kAddressError:
      return "AddressError";
    case Status::kUninitializedError:
      return "UninitializedError";
    case Status::kArtifactError:
      return "ArtifactError";
    default:
      return "DriverError";
  }
}

void Add(const Counters& run, Counters* sum) {
  for (int engine = 0; engine < 4; ++engine) {
    sum->instructions[engine] += run.instructions[engine];
    sum->iterations[engine] += run.iterations[engine];
  }
  sum->dram_read_bytes += run.dram_read_bytes;
  sum->dram_written_bytes += run.dram_written_bytes;
  sum->macs += run.macs;
}

}  // namespace

Runner::Runner(std::string artifact_bytes)
    : artifact_(std::move(artifact_bytes)), simulator_(artifact_.sizes) {}

Totals Runner::totals() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return totals_;
}

void Runner::Run(const std::vector<const int8_t*>& inputs, const std::vector<int8_t*>& outputs) {
  Dram dram = TakeDram();
  int8_t* bytes = reinterpret_cast<int8_t*>(dram.get());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const InputPort& port = artifact_.inputs[i];
    Pack(port, artifact_.sizes.block, inputs[i], bytes + port.address);
  }
  const auto start = std::chrono::steady_clock::now();
  const Counters counters = Simulate(dram.get());
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  for (size_t i = 0; i < outputs.size(); ++i) {
    Unpack(artifact_.outputs[i], artifact_.sizes.block, bytes, outputs[i]);
  }
  GiveBack(std::move(dram));
  std::lock_guard<std::mutex> lock(mutex_);
  totals_.calls += 1;
  totals_.seconds += taken.count();
  Add(counters, &totals_.counters);
}

Counters Runner::Simulate(uint8_t* dram) const {
  Counters counters;
  std::string message;
  const Status status = simulator_.run(artifact_.program, dram, &counters, &message);
  if (status != Status::kOk) throw RunError(ErrorClass(status), message);
  return counters;
}

// No program can write below constant_bytes, so a used DRAM still holds the constants.
Runner::Dram Runner::TakeDram() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      Dram dram = std::move(idle_.back());
      idle_.pop_back();
      return dram;
    }
  }
  Dram dram(new (std::nothrow) uint8_t[artifact_.program.dram_bytes]);
  if (dram == nullptr) {
    throw RunError("DriverError", "there is no memory for the accelerator's DRAM of " +
                                      std::to_string(artifact_.program.dram_bytes) +
                                      " bytes; run fewer inferences at once");
  }
  std::memcpy(dram.get(), artifact_.constants.data(), artifact_.constants.size());
  return dram;
}

void Runner::GiveBack(Dram dram) {
  std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(std::move(dram));
}

}  // namespace zebra
