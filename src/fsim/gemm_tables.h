// The loop nest of a GEMM as tables of what its kernels walk over.
#ifndef ZEBRA_FSIM_GEMM_TABLES_H_
#define ZEBRA_FSIM_GEMM_TABLES_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "fsim/kernels.h"
#include "fsim/nest.h"
#include "zebra/isa.h"

namespace zebra::fsim {

// Of a nest whose accumulators are all different. Offsets are in elements from the operands' bases.
struct GemmTables {
  GemmTables(const isa::Gemm& insn, std::uint64_t block);

  // visit(steps) for all steps of the reduction, so few at a time that they need little memory.
  template <typename Visit>
  void for_each_chunk(Visit visit) const {
    visit(steps);
    for (std::uint64_t first = kChunk; first < step_nest.iterations(); first += kChunk)
      visit(chunk(first));
  }

  std::uint64_t block;
  std::uint64_t macs;
  std::vector<GemmPixel> pixels;
  std::vector<GemmPanel> panels;
  std::vector<std::size_t> groups;  // the first panel of each, and the end of the last
  Nest<2> step_nest;                // act, wgt
  std::vector<GemmStep> steps;      // of the first chunk

 private:
  static constexpr std::uint64_t kChunk = 4096;  // tiles
  std::vector<GemmStep> chunk(std::uint64_t first) const;
};

// A tile of more than kStepLanes input lanes is several steps.
void append_steps(std::vector<GemmStep>& table, std::uint64_t block, std::uint64_t act,
                  std::uint64_t wgt);

// A tile of more than kPanelLanes output lanes is several panels.
void append_panels(std::vector<GemmPanel>& table, std::uint64_t block, std::uint64_t act,
                   std::uint64_t wgt, std::uint64_t acc);

// The tables of the nests that came last: programs repeat them from other bases.
class GemmTablesCache {
 public:
  // Null for a nest that comes to an accumulator from several indices that do not reduce.
  std::shared_ptr<const GemmTables> find(const isa::Gemm& insn, std::uint64_t block);

 private:
  static constexpr std::size_t kMost = 64;
  static constexpr std::size_t kMostPixels = 1 << 16;  // larger ones are worth their making
  using Key = std::array<std::uint32_t, 4 * isa::Gemm::kLevels>;
  std::map<Key, std::shared_ptr<const GemmTables>> kept_;
};

}  // namespace zebra::fsim

#endif  // ZEBRA_FSIM_GEMM_TABLES_H_
