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

// How kernel taps become channels: channel (i * taps[1] + j) * C + c of the folded value's pixel
// (h, w) is channel c of pixel (h * step[0] + i * dilation[0] - pads[0], w * step[1] + j *
// dilation[1] - pads[1]), or `pad_value` outside the image. The pairs are (rows, columns), `pads`
// is (top, left, bottom, right); a negative pad crops. The defaults change nothing.
struct Fold {
  std::array<int64_t, 2> taps = {1, 1}, step = {1, 1}, dilation = {1, 1};
  std::array<int64_t, 4> pads = {0, 0, 0, 0};
  int64_t pad_value = 0;

  // Rows (axis 0) or columns (axis 1) of the folded value; below 1 where the taps do not fit.
  int64_t Extent(int axis, int64_t image) const {
    const int64_t last =
        image + pads[axis] + pads[2 + axis] - 1 - (taps[axis] - 1) * dilation[axis];
    return last < 0 ? 0 : last / step[axis] + 1;
  }
  bool operator==(const Fold& other) const {
    return taps == other.taps && step == other.step && dilation == other.dilation &&
           pads == other.pads && pad_value == other.pad_value;
  }
};

// A dense int8 array of the caller.
struct TensorPort {
  std::string name;
  std::vector<int64_t> shape;
};

// How it lies in DRAM: the value of `dims` [N, C, H, W], folded, as
// [N][ceil(C / BLOCK)][H][W][BLOCK] at `address`.
struct InputPort : TensorPort {
  Layout layout;
  std::array<uint64_t, 4> dims;
  uint64_t address;
  Fold fold;
};

// Where some channels of a value go: channel `first` + c of pixel (h, w) of image n of the value of
// `channels` channels, blocked at `address`, is element `offset` + (n, c, h, w) . `strides` of the
// array, for all (n, c, h, w) below `dims`.
struct Piece {
  uint64_t channels, first;
  std::array<uint64_t, 4> dims;
  uint64_t offset;
  std::array<uint64_t, 4> strides;
  uint64_t address;
};

// The pieces fill the array, each element once.
struct OutputPort : TensorPort {
  std::vector<Piece> pieces;
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
  std::vector<InputPort> inputs;
  std::vector<OutputPort> outputs;
};

}  // namespace zebra

#endif  // ZEBRA_ARTIFACT_H_
