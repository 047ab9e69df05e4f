#include "pack.h"

#include <algorithm>
#include <cstring>

namespace zebra {
namespace {

// Pixels moved at a time: a tile of 64 pixels x 128 lanes stays in the first-level cache.
constexpr uint64_t kTile = 64;

// The channels of one block of one image: where they lie, dense and blocked.
struct BlockView {
  uint64_t pixels;        // H * W
  uint64_t lanes;         // channels that exist, at most `block`
  uint64_t block;         // bytes between pixels of the blocked value
  uint64_t dense;         // offset of the first channel's first pixel
  uint64_t blocked;       // offset of the first pixel's first lane
  uint64_t pixel_step;    // dense distance of two pixels
  uint64_t channel_step;  // dense distance of two channels
};

template <typename Visit>
void ForEachBlock(const TensorPort& port, uint64_t block, Visit visit) {
  const auto& [images, channels, height, width] = port.dims;
  const uint64_t pixels = height * width;
  const uint64_t blocks = (channels + block - 1) / block;
  // With one pixel both layouts are the same; lanes then lie side by side.
  const bool interleaved = port.layout == Layout::kNHWC || pixels == 1;
  const uint64_t pixel_step = interleaved ? channels : 1;
  const uint64_t channel_step = interleaved ? 1 : pixels;
  for (uint64_t n = 0; n < images; ++n) {
    for (uint64_t cb = 0; cb < blocks; ++cb) {
      visit(BlockView{pixels, std::min(block, channels - cb * block), block,
                      n * channels * pixels + cb * block * channel_step,
                      (n * blocks + cb) * pixels * block, pixel_step, channel_step});
    }
  }
}

template <typename Move>
void ForEachTile(const BlockView& view, Move move) {
  for (uint64_t first = 0; first < view.pixels; first += kTile) {
    const uint64_t last = std::min(first + kTile, view.pixels);
    for (uint64_t lane = 0; lane < view.lanes; ++lane) move(first, last, lane);
  }
}

}  // namespace

void Pack(const TensorPort& port, uint32_t block, const int8_t* dense, int8_t* blocked) {
  ForEachBlock(port, block, [=](const BlockView& view) {
    const int8_t* from = dense + view.dense;
    int8_t* to = blocked + view.blocked;
    if (view.lanes < view.block) std::memset(to, 0, view.pixels * view.block);
    if (view.channel_step == 1) {
      for (uint64_t p = 0; p < view.pixels; ++p) {
        std::memcpy(to + p * view.block, from + p * view.pixel_step, view.lanes);
      }
      return;
    }
    ForEachTile(view, [&](uint64_t first, uint64_t last, uint64_t lane) {
      const int8_t* row = from + lane * view.channel_step;
      for (uint64_t p = first; p < last; ++p) to[p * view.block + lane] = row[p];
    });
  });
}

void Unpack(const TensorPort& port, uint32_t block, const int8_t* blocked, int8_t* dense) {
  ForEachBlock(port, block, [=](const BlockView& view) {
    const int8_t* from = blocked + view.blocked;
    int8_t* to = dense + view.dense;
    if (view.channel_step == 1) {
      for (uint64_t p = 0; p < view.pixels; ++p) {
        std::memcpy(to + p * view.pixel_step, from + p * view.block, view.lanes);
      }
      return;
    }
    ForEachTile(view, [&](uint64_t first, uint64_t last, uint64_t lane) {
      int8_t* row = to + lane * view.channel_step;
      for (uint64_t p = first; p < last; ++p) row[p] = from[p * view.block + lane];
    });
  });
}

}  // namespace zebra
