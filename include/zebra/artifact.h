// The compiled artifact as the native side sees it (format: docs/architecture.md).
#ifndef ZEBRA_ARTIFACT_H_
#define ZEBRA_ARTIFACT_H_

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace zebra {

// One sentence: what is wrong with the artifact and what to do.
class ArtifactError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Section HWSZ: sizes in entries, as the instructions address them.
struct HardwareSizes {
  uint32_t rows, block, act, wgt, acc, par, tab, mult_width;
};

// Bytes [start, start + size) of DRAM.
struct DramSpan {
  uint64_t start, size;
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

// A checked artifact. `code`, `constants` and `digest` point into `bytes`.
class Artifact {
 public:
  // Throws ArtifactError unless `bytes` is a whole, uncorrupted artifact whose
  // ports, spans, code and constants fit each other.
  explicit Artifact(std::string bytes);
  Artifact(const Artifact&) = delete;
  Artifact& operator=(const Artifact&) = delete;

  const std::string bytes;
  std::string_view code, constants, digest;
  HardwareSizes sizes{};
  uint64_t dram_bytes = 0, constant_bytes = 0;
  std::vector<DramSpan> input_spans, output_spans;
  std::vector<TensorPort> inputs, outputs;
};

}  // namespace zebra

#endif  // ZEBRA_ARTIFACT_H_
