#include "zebra/simulator.h"

#include <algorithm>
#include <new>

#include "common/error.h"
#include "common/thread_pool.h"
#include "fsim/insn.h"
#include "fsim/limits.h"
#include "fsim/machine.h"
#include "fsim/static_rules.h"
#include "fsim/tokens.h"

namespace zebra {
namespace fsim {
namespace {

constexpr unsigned kMaxThreads = 256;

void check_bounds(const Site& site, const Operand& operand, const Machine& machine) {
  const std::uint64_t capacity = machine.capacity(operand.memory);
  const Footprint& touched = operand.footprint;
  if (touched.last() >= capacity)
    refuse(site, Status::kAddressError, operand.name, ": ", name_of(operand.memory), " ",
           unit_of(operand.memory), "s ", touched.first(), "..", touched.last(),
           " leaves the memory's ", capacity, " ", unit_of(operand.memory), "s");
  const std::uint64_t constants = machine.program.constant_bytes;
  if (operand.use == Use::kWrite && operand.memory == isa::Memory::DRAM &&
      touched.first() < constants)
    refuse(site, Status::kAddressError, operand.name, ": DRAM bytes ", touched.first(), "..",
           touched.last(), " starts inside the ", constants, " constant bytes");
}

void check_written(const Site& site, const Operand& operand, const Machine& machine) {
  std::uint64_t missing = 0;
  if (operand.use == Use::kRead && !machine.written(operand.memory, operand.footprint, &missing))
    refuse(site, Status::kUninitializedError, operand.name, " reads ", name_of(operand.memory), " ",
           unit_of(operand.memory), " ", missing, ", which nothing wrote");
}

template <typename Insn>
void check_parameters(const Site&, const Insn&, const Machine&) {}

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
      : machine_(sizes, program, dram, threads, kernels), counters_(counters) {
    for (const Span& span : program.inputs) machine_.mark_span(span);
  }

  void execute_all() {
    const Program& program = machine_.program;
    const std::uint64_t count = program.code_bytes / isa::kWordBytes;
    for (std::uint64_t i = 0; i < count; ++i)
      visit_instruction(i, program.code + i * isa::kWordBytes, machine_.sizes,
                        [&](const Site& site, const auto& insn, std::uint64_t iterations) {
                          step(site, insn, iterations);
                        });
    tokens_.check_empty();
    for (const Span& span : program.outputs) check_output(span);
  }

 private:
  // The rest of the order of checks of docs/architecture.md, behind the static rules.
  template <typename Insn>
  void step(const Site& site, const Insn& insn, std::uint64_t iterations) {
    tokens_.take(site, Insn::kEngine, insn.wait);
    const Operands touched = operands(insn, machine_.sizes);
    for (const Operand& operand : touched) check_bounds(site, operand, machine_);
    for (const Operand& operand : touched) check_written(site, operand, machine_);
    check_parameters(site, insn, machine_);
    execute(insn, machine_);
    for (const Operand& operand : touched)
      if (operand.use == Use::kWrite) machine_.mark(operand.memory, operand.footprint);
    tokens_.give(Insn::kEngine, insn.signal);
    counters_->instructions[static_cast<std::size_t>(Insn::kEngine)] += 1;
    counters_->iterations[static_cast<std::size_t>(Insn::kEngine)] += iterations;
    count_work(insn, machine_.sizes, iterations, counters_);
  }

  void check_output(const Span& span) const {
    std::uint64_t missing = 0;
    if (!machine_.written_span(span, &missing))
      fail(Status::kUninitializedError, "the program ends but the output span ", span.start, "..",
           span.start + span.size, " was not wholly written, the first missing byte is ", missing);
  }

  Machine machine_;
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

const char* name_of(isa::Memory memory) {
  static constexpr const char* kNames[] = {"ACT", "WGT", "ACC", "PAR", "TAB", "DRAM"};
  return kNames[static_cast<std::size_t>(memory)];
}

const char* unit_of(isa::Memory memory) {
  static constexpr const char* kUnits[] = {"vector", "tile", "vector", "vector", "table", "byte"};
  return kUnits[static_cast<std::size_t>(memory)];
}

}  // namespace fsim

namespace {

// Without memory for the message the status has to do.
void set_message(std::string* message, const char* text) noexcept {
  if (message == nullptr) return;
  try {
    message->assign(text);
  } catch (const std::bad_alloc&) {
    message->clear();
  }
}

}  // namespace

Status Simulator::run(const Program& program, std::uint8_t* dram, Counters* counters,
                      std::string* message) const noexcept {
  Counters counted;
  Status status = Status::kOk;
  try {
    fsim::run_program(sizes_, options_, program, dram, &counted);
  } catch (const Error& error) {
    status = error.status();
    set_message(message, error.what());
  } catch (const std::bad_alloc&) {
    status = Status::kDriverError;
    set_message(message, "fsim: there is not enough memory for this configuration and program");
  } catch (const std::exception& error) {
    status = Status::kDriverError;
    set_message(message, error.what());
  }
  if (counters != nullptr) *counters = counted;
  return status;
}

}  // namespace zebra
