// The functional simulator: runs a Zebra program on a byte array that is the DRAM.
//
// What a program means, and what makes one illegal, is docs/architecture.md.
#ifndef ZEBRA_SIMULATOR_H_
#define ZEBRA_SIMULATOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace zebra {

// Sizes of one accelerator, counted in entries; the fields of zebra.hw.HwConfig.
struct HwSizes {
  std::uint32_t rows = 1;         // vectors per cycle; changes time, never a result
  std::uint32_t block = 16;       // lanes of a vector, a power of two in 4..128
  std::uint32_t act = 0;          // ACT vectors of block int8
  std::uint32_t wgt = 0;          // WGT tiles of block x block int8
  std::uint32_t acc = 0;          // ACC vectors of block int32
  std::uint32_t par = 0;          // PAR vectors of block int32
  std::uint32_t tab = 0;          // TAB tables of 256 int8
  std::uint32_t mult_width = 16;  // significant bits of a one-pass multiplier
};

// Bytes [start, start + size) of DRAM.
struct Span {
  std::uint64_t start = 0;
  std::uint64_t size = 0;
};

// Code and its DRAM contract; zebra.isa.Program. The code is borrowed.
struct Program {
  const std::uint8_t* code = nullptr;
  std::uint64_t code_bytes = 0;
  std::uint64_t dram_bytes = 0;
  std::uint64_t constant_bytes = 0;
  std::vector<Span> inputs;
  std::vector<Span> outputs;
};

// How a run ended. Each but kOk is the zebra.errors class of the same name.
enum class Status : int {
  kOk = 0,
  kEncodingError = 1,
  kOperandError = 2,
  kTokenError = 3,
  kAddressError = 4,
  kUninitializedError = 5,
  kArtifactError = 6,
  kDriverError = 7,
};

// Which inner loops run; all give the same bits.
enum class Kernel : int {
  kAuto = 0,  // the fastest one this CPU has
  kPortable = 1,
  kAvx2 = 2,
  kAvx512Vnni = 3,
};

// Whether this CPU (and build) can run `kernel`.
bool kernel_available(Kernel kernel) noexcept;

struct RunOptions {
  unsigned threads = 0;  // 0: all cores
  Kernel kernel = Kernel::kAuto;
};

// What the engines did. Arrays are indexed by isa::Engine: LOAD, GEMM, VEC, STORE.
struct Counters {
  std::uint64_t instructions[4] = {};
  std::uint64_t iterations[4] = {};  // of the loop nests
  std::uint64_t dram_read_bytes = 0;
  std::uint64_t dram_written_bytes = 0;
  std::uint64_t macs = 0;  // of GEMM: iterations * block^2; of ACCUM MAC: iterations * block
};

// Stateless between runs: every run starts with empty scratchpads. One Simulator may run
// programs from several threads at once, each on its own DRAM.
class Simulator {
 public:
  explicit Simulator(const HwSizes& sizes, const RunOptions& options = RunOptions())
      : sizes_(sizes), options_(options) {}

  // Execute `program` on `dram` (program.dram_bytes bytes, constants and inputs in place).
  // On an error, `*message` is one sentence and `dram` holds what was stored until then.
  // `counters` and `message` may be null. Never throws.
  Status run(const Program& program, std::uint8_t* dram, Counters* counters,
             std::string* message) const noexcept;

 private:
  HwSizes sizes_;
  RunOptions options_;
};

}  // namespace zebra

#endif  // ZEBRA_SIMULATOR_H_
