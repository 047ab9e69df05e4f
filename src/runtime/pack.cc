#include "pack.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "fold.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace zebra {
namespace {

constexpr uint64_t kSquare = 16;  // rows and columns that are transposed at once

// Some channels of one block of an image, or of one row of it: where they lie, dense and blocked.
struct BlockView {
  uint64_t pixels;        // neighbours in the blocked value
  uint64_t lanes;         // channels that exist, at most `block`
  uint64_t block;         // bytes between pixels of the blocked value
  uint64_t dense;         // offset of the first channel's first pixel
  uint64_t blocked;       // offset of the first pixel's first lane
  uint64_t pixel_step;    // dense distance of two pixels
  uint64_t channel_step;  // dense distance of two channels
};

template <typename Visit>
void ForEachBlock(const Piece& piece, uint64_t block, Visit visit) {
  const auto& [images, channels, height, width] = piece.dims;
  const auto& [image, channel, row, column] = piece.strides;
  // Rows that follow each other are one.
  const bool even = height == 1 || row == width * column;
  const uint64_t parts = even ? 1 : height, pixels = height * width / parts;
  const uint64_t blocks = (piece.channels + block - 1) / block;
  const uint64_t stop = piece.first + channels;
  for (uint64_t n = 0; n < images; ++n) {
    for (uint64_t first = piece.first; first < stop;) {
      const uint64_t lane = first % block, lanes = std::min(block - lane, stop - first);
      const uint64_t dense = piece.offset + n * image + (first - piece.first) * channel;
      const uint64_t plane = (n * blocks + first / block) * height * width;
      for (uint64_t part = 0; part < parts; ++part) {
        visit(BlockView{pixels, lanes, block, dense + part * row,
                        piece.address + (plane + part * pixels) * block + lane, column, channel});
      }
      first += lanes;
    }
  }
}

// An input without a fold as the one piece it is.
Piece WholeOf(const InputPort& port) {
  const auto& [images, channels, height, width] = port.dims;
  const uint64_t pixels = height * width;
  // With one pixel both layouts are the same; lanes then lie side by side.
  const bool interleaved = port.layout == Layout::kNHWC || pixels == 1;
  const uint64_t column = interleaved ? channels : 1, channel = interleaved ? 1 : pixels;
  return {channels, 0, port.dims, 0, {channels * pixels, channel, width * column, column}, 0};
}

// to[column * to_step + row] = from[row * from_step + column] for `rows` x `columns` bytes.
void TransposeSimply(const int8_t* from, uint64_t from_step, uint64_t rows, uint64_t columns,
                     int8_t* to, uint64_t to_step) {
  for (uint64_t row = 0; row < rows; ++row) {
    for (uint64_t column = 0; column < columns; ++column) {
      to[column * to_step + row] = from[row * from_step + column];
    }
  }
}

#ifdef __SSE2__
// The same for 16 x 16 bytes: four rounds that interleave row i with row i + 8.
void TransposeSquare(const int8_t* from, uint64_t from_step, int8_t* to, uint64_t to_step) {
  __m128i rows[kSquare];
  for (uint64_t i = 0; i < kSquare; ++i) {
    rows[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * from_step));
  }
  for (int round = 0; round < 4; ++round) {
    __m128i next[kSquare];
    for (uint64_t i = 0; i < kSquare / 2; ++i) {
      next[2 * i] = _mm_unpacklo_epi8(rows[i], rows[i + kSquare / 2]);
      next[2 * i + 1] = _mm_unpackhi_epi8(rows[i], rows[i + kSquare / 2]);
    }
    std::copy(next, next + kSquare, rows);
  }
  for (uint64_t i = 0; i < kSquare; ++i) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * to_step), rows[i]);
  }
}
#else
void TransposeSquare(const int8_t* from, uint64_t from_step, int8_t* to, uint64_t to_step) {
  TransposeSimply(from, from_step, kSquare, kSquare, to, to_step);
}
#endif

void Transpose(const int8_t* from, uint64_t from_step, uint64_t rows, uint64_t columns, int8_t* to,
               uint64_t to_step) {
  for (uint64_t column = 0; column < columns; column += kSquare) {
    const uint64_t wide = std::min(kSquare, columns - column);
    for (uint64_t row = 0; row < rows; row += kSquare) {
      const uint64_t high = std::min(kSquare, rows - row);
      const int8_t* source = from + row * from_step + column;
      int8_t* target = to + column * to_step + row;
      if (wide == kSquare && high == kSquare) {
        TransposeSquare(source, from_step, target, to_step);
      } else {
        TransposeSimply(source, from_step, high, wide, target, to_step);
      }
    }
  }
}

// `count` runs of `bytes` bytes.
void CopyRuns(const int8_t* from, uint64_t from_step, uint64_t count, uint64_t bytes, int8_t* to,
              uint64_t to_step) {
  for (uint64_t i = 0; i < count; ++i) std::memcpy(to + i * to_step, from + i * from_step, bytes);
}

// Lanes and pixels that lie apart on both sides.
void CopyBytes(const int8_t* from, const BlockView& view, int8_t* to) {
  for (uint64_t lane = 0; lane < view.lanes; ++lane) {
    for (uint64_t pixel = 0; pixel < view.pixels; ++pixel) {
      to[lane * view.channel_step + pixel * view.pixel_step] = from[pixel * view.block + lane];
    }
  }
}

// The dense array of an NCHW port, [N][C][H * W], as [N][H * W][C].
std::vector<int8_t> Interleaved(const InputPort& port, const int8_t* dense) {
  const uint64_t channels = port.dims[1], pixels = port.dims[2] * port.dims[3];
  const uint64_t image = channels * pixels;
  std::vector<int8_t> pixel_by_pixel(port.dims[0] * image);
  for (uint64_t n = 0; n < port.dims[0]; ++n) {
    TransposeSimply(dense + n * image, pixels, channels, pixels, pixel_by_pixel.data() + n * image,
                    channels);
  }
  return pixel_by_pixel;
}

}  // namespace

void Pack(const InputPort& port, uint32_t block, const int8_t* dense, int8_t* blocked) {
  if (!(port.fold == Fold())) {
    const bool planes = port.layout == Layout::kNCHW;
    PackFolded(port, block, planes ? Interleaved(port, dense).data() : dense, blocked);
    return;
  }
  ForEachBlock(WholeOf(port), block, [=](const BlockView& view) {
    const int8_t* from = dense + view.dense;
    int8_t* to = blocked + view.blocked;
    if (view.lanes < view.block) std::memset(to, 0, view.pixels * view.block);
    if (view.channel_step == 1) {
      CopyRuns(from, view.pixel_step, view.pixels, view.lanes, to, view.block);
    } else {
      Transpose(from, view.channel_step, view.lanes, view.pixels, to, view.block);
    }
  });
}

void Unpack(const OutputPort& port, uint32_t block, const int8_t* dram, int8_t* dense) {
  for (const Piece& piece : port.pieces) {
    ForEachBlock(piece, block, [=](const BlockView& view) {
      const int8_t* from = dram + view.blocked;
      int8_t* to = dense + view.dense;
      if (view.channel_step == 1) {
        CopyRuns(from, view.block, view.pixels, view.lanes, to, view.pixel_step);
      } else if (view.pixel_step == 1) {
        Transpose(from, view.block, view.pixels, view.lanes, to, view.channel_step);
      } else {
        CopyBytes(from, view, to);
      }
    });
  }
}

}  // namespace zebra
