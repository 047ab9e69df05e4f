// The inner loops of the instructions, once per kind of CPU.
//
// ACT bytes are x + 128 and WGT tiles are [i / 4][o][i % 4]; see machine.h.
#ifndef ZEBRA_FSIM_KERNELS_H_
#define ZEBRA_FSIM_KERNELS_H_

#include <cstddef>
#include <cstdint>

#include "zebra/isa.h"
#include "zebra/simulator.h"

namespace zebra::fsim {

// Where one output pixel reads and accumulates, in elements from the nest's bases.
struct GemmPixel {
  std::uint32_t act;
  std::uint32_t acc;
};

// Where one step of the reduction reads; a step is kStepLanes (or BLOCK, if less) input lanes.
struct GemmStep {
  std::uint32_t act;
  std::uint32_t wgt;
};

// Up to 16 output lanes of one tile.
struct GemmPanel {
  std::uint32_t act;
  std::uint32_t wgt;
  std::uint32_t acc;
};

constexpr std::size_t kPanelLanes = 16;
constexpr std::size_t kStepLanes = 16;
constexpr std::size_t kPanelGroup = 4;

// For every pixel p, panel j and lane o of the panel, the sum over the steps s and their
// input lanes i of ACT[p.act + j.act + s.act][i] * WGT[j.wgt + s.wgt][o][i] is added to (or,
// with overwrite, written to) ACC[p.acc + j.acc][o], modulo 2^32. There are 1..kPanelGroup
// panels, all with the same act. No two (pixel, panel) share an accumulator.
struct GemmTask {
  const std::uint8_t* act;
  const std::int8_t* wgt;
  std::int32_t* acc;
  std::uint32_t block;
  bool overwrite;
  const GemmPixel* pixels;
  std::size_t pixel_count;
  const GemmStep* steps;
  std::size_t step_count;
  const GemmPanel* panels;
  std::size_t panel_count;
};

// Where one step of an ACCUM's reduction reads, in elements from its first step.
struct AccumStep {
  std::uint32_t act;
  std::uint32_t par;
};

// `count` accumulators of ACCUM along one level, each of which takes all steps in order; strides
// in elements. There is at least one step. With `overwrite` the first step writes.
struct AccumRow {
  isa::AccumOp op;
  bool overwrite;
  std::uint32_t block;
  const AccumStep* steps;
  std::size_t step_count;
  std::size_t count;
  const std::uint8_t* act;
  std::size_t act_stride;
  std::int32_t* acc;
  std::size_t acc_stride;
  const std::int32_t* par;
  std::size_t par_stride;
};

// What every iteration of a POST has in common. `table` is null without lookup.
struct PostMode {
  isa::PostOp op;
  bool truncate;
  std::int32_t offset;
  std::int32_t low;
  std::int32_t high;
  const std::int8_t* table;
  std::uint32_t block;
};

// `count` iterations of POST along one level; strides in elements. Of each pair (act, acc) of
// pointers one is null. Iterations are independent unless they have the same address.
struct PostRow {
  std::size_t count;
  std::uint8_t* dst_act;
  std::int32_t* dst_acc;
  std::size_t dst_stride;
  const std::uint8_t* a_act;
  const std::int32_t* a_acc;
  std::size_t a_stride;
  const std::uint8_t* b;
  std::size_t b_stride;
  const std::int32_t* par;
  std::size_t par_stride;
};

struct Kernels {
  void (*gemm)(const GemmTask&);
  void (*accum)(const AccumRow&);
  void (*post)(const PostMode&, const PostRow&);
  // to[i] = from[i] ^ 0x80 for i < count: between the int8 of DRAM and what ACT holds.
  void (*copy_flipped)(const std::uint8_t* from, std::uint8_t* to, std::size_t count);
  // One tile from DRAM's [o][i] to WGT's [i / 4][o][i % 4].
  void (*load_tile)(std::size_t block, const std::uint8_t* from, std::int8_t* to);
};

extern const Kernels kPortableKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512VnniKernels;
#endif

// The kernels for `kernel`; throws an Error (kDriverError) if this CPU cannot run them.
const Kernels& find_kernels(Kernel kernel);

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_KERNELS_H_
