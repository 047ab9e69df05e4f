// An artifact ready to run: the simulator and a pool of DRAMs.
#ifndef ZEBRA_RUNTIME_RUNNER_H_
#define ZEBRA_RUNTIME_RUNNER_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "zebra/artifact.h"
#include "zebra/simulator.h"

namespace zebra {

// What can go wrong in a run: `kind` is the name of a zebra.errors class.
class RunError : public std::runtime_error {
 public:
  RunError(std::string kind, const std::string& sentence)
      : std::runtime_error(sentence), kind(std::move(kind)) {}
  const std::string kind;
};

// What the runs of an artifact did together.
struct Totals {
  uint64_t calls = 0;
  double seconds = 0;  // in the simulator
  Counters counters;
};

// Any number of threads may call Run at once: each call has a DRAM of its own.
class Runner {
 public:
  // Throws ArtifactError.
  explicit Runner(std::string artifact_bytes);

  const Artifact& artifact() const { return artifact_; }
  Totals totals() const;

  // Dense int8 arrays of the artifact's input and output shapes, in calling order.
  // Throws RunError.
  void Run(const std::vector<const int8_t*>& inputs, const std::vector<int8_t*>& outputs);

 private:
  using Dram = std::unique_ptr<uint8_t[]>;

  Dram TakeDram();
  void GiveBack(Dram dram);
  Counters Simulate(uint8_t* dram) const;

  const Artifact artifact_;
  const Simulator simulator_;
  mutable std::mutex mutex_;
  std::vector<Dram> idle_;
  Totals totals_;
};

}  // namespace zebra

#endif  // ZEBRA_RUNTIME_RUNNER_H_
