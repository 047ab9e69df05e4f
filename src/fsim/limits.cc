#include "fsim/limits.h"

#include <cstdint>
#include <vector>

#include "common/error.h"
#include "zebra/isa.h"

namespace zebra::fsim {
namespace {

void check_size(const char* name, std::uint32_t value, std::uint64_t low, std::uint64_t high) {
  if (value < low || value > high)
    fail(Status::kDriverError, "fsim: ", name, " = ", value, " is outside ", low, "..", high,
         "; pass the sizes of an HwConfig");
}

void check_spans(const char* name, const std::vector<Span>& spans, std::uint64_t dram_bytes) {
  for (const Span& span : spans)
    if (span.start > dram_bytes || span.size > dram_bytes - span.start)
      fail(Status::kAddressError, name, " span of ", span.size, " bytes at ", span.start,
           " leaves the DRAM of ", dram_bytes, " bytes");
}

}  // namespace

void check_sizes(const HwSizes& sizes) {
  constexpr std::uint64_t kBytes = 1 << 25;
  check_size("block", sizes.block, 4, 128);
  const std::uint64_t block = sizes.block;
  if ((block & (block - 1)) != 0)
    fail(Status::kDriverError, "fsim: block = ", block, " is not a power of two");
  check_size("rows", sizes.rows, 1, 64);
  check_size("act", sizes.act, 1, kBytes / block);
  check_size("wgt", sizes.wgt, 1, kBytes / (block * block));
  check_size("acc", sizes.acc, 1, kBytes / (4 * block));
  check_size("par", sizes.par, 1, 1 << 16);
  check_size("tab", sizes.tab, 1, 64);
  check_size("mult_width", sizes.mult_width, 8, 31);
}

void check_program(const Program& program) {
  check_spans("input", program.inputs, program.dram_bytes);
  check_spans("output", program.outputs, program.dram_bytes);
  if (program.constant_bytes > program.dram_bytes)
    fail(Status::kAddressError, program.constant_bytes, " constant bytes do not fit the DRAM of ",
         program.dram_bytes, " bytes");
  if (program.code_bytes % isa::kWordBytes != 0)
    fail(Status::kEncodingError, "code of ", program.code_bytes, " bytes is not a whole number of ",
         isa::kWordBytes, "-byte instructions");
}

}  // namespace zebra::fsim
