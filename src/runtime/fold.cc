#include "fold.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

namespace zebra {
namespace {

constexpr int64_t kChunk = 16;  // bytes that are copied at once

int64_t RoundUp(int64_t bytes, int64_t unit) { return (bytes + unit - 1) / unit * unit; }

// `count` runs of `bytes` bytes in whole chunks: RoundUp(bytes, kChunk) are read and written.
void CopyRuns(const int8_t* from, int64_t from_step, int64_t count, int64_t bytes, int8_t* to,
              int64_t to_step) {
  for (int64_t i = 0; i < count; ++i, from += from_step, to += to_step) {
    for (int64_t at = 0; at < bytes; at += kChunk) std::memcpy(to + at, from + at, kChunk);
  }
}

template <int64_t kBytes>
void CopyPieces(const int8_t* from, int64_t from_step, int64_t count, int8_t* to, int64_t to_step) {
  for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * to_step, from + i * from_step, kBytes);
}

// `count` blocks: a power of two of bytes each, from 4 on.
void CopyBlocks(const int8_t* from, int64_t from_step, int64_t count, int64_t block, int8_t* to) {
  if (block == 4) return CopyPieces<4>(from, from_step, count, to, block);
  if (block == 8) return CopyPieces<8>(from, from_step, count, to, block);
  for (int64_t at = 0; at < block; at += kChunk) {
    CopyPieces<kChunk>(from + at, from_step, count, to + at, block);
  }
}

// Gathers one folded row, pixel after pixel, then cuts it into blocks. The kernel rows are gathered
// one after the other: what a copy of whole chunks writes too much belongs to the next of them.
class Folder {
 public:
  Folder(const InputPort& port, int64_t block, const int8_t* dense)
      : fold_(port.fold),
        block_(block),
        images_(port.dims[0]),
        channels_(port.dims[1]),
        height_(port.dims[2]),
        width_(port.dims[3]),
        high_(fold_.Extent(0, height_)),
        wide_(fold_.Extent(1, width_)),
        run_(fold_.taps[1] * channels_),
        lanes_(fold_.taps[0] * run_),
        padded_lanes_(RoundUp(lanes_, block)),
        pixel_step_(padded_lanes_ + kChunk),
        dense_(dense),
        end_(dense + images_ * height_ * width_ * channels_),
        pixels_(wide_ * pixel_step_) {}

  void Write(int8_t* blocked) {
    const int64_t image_bytes = padded_lanes_ * high_ * wide_;
    for (int64_t n = 0; n < images_; ++n) {
      for (int64_t h = 0; h < high_; ++h) {
        for (int64_t i = 0; i < fold_.taps[0]; ++i) {
          const int64_t row = h * fold_.step[0] + i * fold_.dilation[0] - fold_.pads[0];
          GatherRow(n, row, pixels_.data() + i * run_);
        }
        WriteRow(blocked + n * image_bytes + h * wide_ * block_);
      }
    }
  }

 private:
  void WriteRow(int8_t* to) {
    for (int64_t w = 0; w < wide_; ++w) {
      std::memset(pixels_.data() + w * pixel_step_ + lanes_, 0, kChunk);
    }
    for (int64_t lane = 0; lane < padded_lanes_; lane += block_, to += high_ * wide_ * block_) {
      CopyBlocks(pixels_.data() + lane, pixel_step_, wide_, block_, to);
    }
  }

  // The taps of one kernel row in the image's row `row`, for all pixels.
  void GatherRow(int64_t n, int64_t row, int8_t* to) {
    if (row < 0 || row >= height_) {
      for (int64_t w = 0; w < wide_; ++w) Fill(run_, to + w * pixel_step_);
      return;
    }
    const int8_t* from = dense_ + (n * height_ + row) * width_ * channels_;
    const auto [first, last] = Interior(from);
    GatherTaps(from, 0, first, to);
    if (first < last) {
      CopyRuns(from + Column(first) * channels_, fold_.step[1] * channels_, last - first, run_,
               to + first * pixel_step_, pixel_step_);
    }
    GatherTaps(from, last, wide_, to);
  }

  // Pixels [first, last) whose taps are neighbours, inside the row, and far enough from the
  // array's end to be copied in whole chunks.
  std::pair<int64_t, int64_t> Interior(const int8_t* row) const {
    if (fold_.dilation[1] != 1) return {0, 0};
    const int64_t step = fold_.step[1], left = fold_.pads[1];
    const int64_t first = std::min(left > 0 ? (left + step - 1) / step : 0, wide_);
    const int64_t reach = width_ - fold_.taps[1] + left;  // the last pixel's w * step, at most
    int64_t last = reach < 0 ? 0 : std::min(reach / step + 1, wide_);
    const int64_t bytes = RoundUp(run_, kChunk);
    while (last > first && bytes > end_ - row - Column(last - 1) * channels_) --last;
    return {first, std::max(first, last)};
  }

  int64_t Column(int64_t w) const { return w * fold_.step[1] - fold_.pads[1]; }

  // Tap by tap, for pixels [first, last).
  void GatherTaps(const int8_t* row, int64_t first, int64_t last, int8_t* to) const {
    for (int64_t w = first; w < last; ++w) {
      for (int64_t j = 0; j < fold_.taps[1]; ++j) {
        const int64_t column = Column(w) + j * fold_.dilation[1];
        int8_t* tap = to + w * pixel_step_ + j * channels_;
        if (column < 0 || column >= width_) {
          Fill(channels_, tap);
        } else {
          std::memcpy(tap, row + column * channels_, channels_);
        }
      }
    }
  }

  void Fill(int64_t bytes, int8_t* to) const {
    std::memset(to, static_cast<int>(fold_.pad_value), bytes);
  }

  const Fold& fold_;
  const int64_t block_, images_, channels_, height_, width_;
  const int64_t high_, wide_;           // the folded image
  const int64_t run_;                   // bytes of a pixel's taps of one kernel row
  const int64_t lanes_, padded_lanes_;  // of a folded pixel
  const int64_t pixel_step_;            // with room for a chunk behind the last lane
  const int8_t *const dense_, *const end_;
  std::vector<int8_t> pixels_;  // a folded row
};

}  // namespace

void PackFolded(const InputPort& port, uint64_t block, const int8_t* dense, int8_t* blocked) {
  Folder(port, static_cast<int64_t>(block), dense).Write(blocked);
}

}  // namespace zebra
