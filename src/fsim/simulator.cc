#include "zebra/simulator.h"

#include <algorithm>
#include <atomic>
#include <exception>

#include "common/error.h"
#include "common/thread_pool.h"
#include "fsim/checks.h"
#include "fsim/insn.h"
#include "fsim/limits.h"
#include "fsim/machine.h"
#include "fsim/static_rules.h"
#include "fsim/tokens.h"
#include "fsim/window.h"

namespace zebra {
namespace fsim {
namespace {

constexpr unsigned kMaxThreads = 256;

// The rules about data: only POST has some, about what PAR holds.
template <typename Insn>
void check_data(const Site&, const Insn&, const Machine&, Window*) {}
void check_data(const Site& site, const isa::Post& insn, const Machine& machine, Window* window) {
  window->settle(isa::Memory::PAR);
  check_parameters(site, insn, machine);
}

// What an instruction adds to the counters beyond instructions and iterations.
void count_work(const isa::Load& insn, const HwSizes& sizes, std::uint64_t n, Counters* counters) {
  std::uint64_t bytes = insn.lanes;
  if (insn.memory == isa::Memory::WGT) bytes = std::uint64_t{sizes.block} * sizes.block;
  if (insn.memory == isa::Memory::PAR) bytes = std::uint64_t{sizes.block} * (insn.widen ? 1 : 4);
  if (insn.memory == isa::Memory::TAB) bytes = 256;
  counters->dram_read_bytes += n * bytes;
}
void count_work(const isa::Store& insn, const HwSizes&, std::uint64_t n, Counters* counters) {
  counters->dram_written_bytes += n * insn.lanes;
}
void count_work(const isa::Gemm&, const HwSizes& sizes, std::uint64_t n, Counters* counters) {
  counters->macs += n * sizes.block * sizes.block;
}
void count_work(const isa::Accum& insn, const HwSizes& sizes, std::uint64_t n, Counters* counters) {
  if (insn.op == isa::AccumOp::MAC) counters->macs += n * sizes.block;
}
void count_work(const isa::Fill&, const HwSizes&, std::uint64_t, Counters*) {}
void count_work(const isa::Post&, const HwSizes&, std::uint64_t, Counters*) {}

class Run {
 public:
  Run(const HwSizes& sizes, const Program& program, std::uint8_t* dram, unsigned threads,
      const Kernels& kernels, Counters* counters)
      : machine_(sizes, program, dram, threads, kernels), window_(threads), counters_(counters) {}

  // The first thread to come checks one instruction after the other and adds what it is to do to
  // the window; the others help.
  void execute_all() {
    std::atomic<bool> issued{false};
    std::exception_ptr problem;
    parallel_for(machine_.threads, machine_.threads, [&](std::size_t) {
      if (issued.exchange(true)) return window_.help();
      try {
        issue_all();
      } catch (...) {
        problem = std::current_exception();
      }
      window_.finish();
      window_.close();
    });
    if (problem != nullptr) std::rethrow_exception(problem);
  }

 private:
  void issue_all() {
    const Program& program = machine_.program;
    const std::uint64_t count = program.code_bytes / isa::kWordBytes;
    for (std::uint64_t i = 0; i < count; ++i)
      visit_instruction(i, program.code + i * isa::kWordBytes, machine_.sizes,
                        [&](const Site& site, const auto& insn, std::uint64_t iterations) {
                          step(site, insn, iterations);
                        });
    tokens_.check_empty();
    check_outputs(machine_);
  }

  // The rest of the order of checks of docs/architecture.md, behind the static rules.
  template <typename Insn>
  void step(const Site& site, const Insn& insn, std::uint64_t iterations) {
    tokens_.take(site, Insn::kEngine, insn.wait);
    const Operands touched = operands(insn, machine_.sizes);
    check_bounds(site, touched, machine_);
    check_written(site, touched, machine_);
    check_data(site, insn, machine_, &window_);
    window_.add(touched, plan(insn, machine_));
    mark_written(touched, &machine_);
    tokens_.give(Insn::kEngine, insn.signal);
    counters_->instructions[static_cast<std::size_t>(Insn::kEngine)] += 1;
    counters_->iterations[static_cast<std::size_t>(Insn::kEngine)] += iterations;
    count_work(insn, machine_.sizes, iterations, counters_);
  }

  Machine machine_;
  Window window_;
  Tokens tokens_;
  Counters* counters_;
};

void run_program(const HwSizes& sizes, const RunOptions& options, const Program& program,
                 std::uint8_t* dram, Counters* counters) {
  check_sizes(sizes);
  check_program(program);
  if ((dram == nullptr && program.dram_bytes > 0) ||
      (program.code == nullptr && program.code_bytes > 0))
    fail(Status::kDriverError, "fsim: the DRAM or the code is a null pointer");
  const unsigned wanted = options.threads == 0 ? core_count() : options.threads;
  Run run(sizes, program, dram, std::min(wanted, kMaxThreads), find_kernels(options.kernel),
          counters);
  run.execute_all();
}

}  // namespace
}  // namespace fsim

Status Simulator::run(const Program& program, std::uint8_t* dram, Counters* counters,
                      std::string* message) const noexcept {
  Counters counted;
  const Status status = guarded(
      "fsim", message, [&] { fsim::run_program(sizes_, options_, program, dram, &counted); });
  if (counters != nullptr) *counters = counted;
  return status;
}

}  // namespace zebra
