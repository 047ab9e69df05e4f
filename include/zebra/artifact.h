// The compiled artifact as the native side sees it (format: docs/architecture.md).
#ifndef ZEBRA_ARTIFACT_H_
#define ZEBRA_ARTIFACT_H_

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "zebra/simulator.h"

namespace zebra {

// One sentence: what is wrong with the artifact and what to do.
class ArtifactError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Layout : uint32_t { kNCHW = 0, kNHWC = 1 };

// How the caller's dense int8 array of `shape` lies in DRAM: the blocked value
// [N][ceil(C / BLOCK)][H][W][BLOCK] of `dims` [N, C, H, W], at `address`.
struct TensorPort {
  std::string name;
  Layout layout;
  std::vector<int64_t> shape;
  std::array<uint64_t, 4> dims;
  uint64_t address;
};

// A checked artifact. `constants`, `digest` and the program's code point into `bytes`.
class Artifact {
 public:
  // Throws ArtifactError unless `bytes` is a whole, uncorrupted artifact whose
  // ports, spans, code and constants fit each other.
  explicit Artifact(std::string bytes);
  Artifact(const Artifact&) = delete;
  Artifact& operator=(const Artifact&) = delete;

  const std::string bytes;
  std::string_view constants, digest;
  HwSizes sizes;
  Program program;
  std::vector<TensorPort> inputs, outputs;
};

}  // namespace zebra

#endif  // ZEBRA_ARTIFACT_H_
