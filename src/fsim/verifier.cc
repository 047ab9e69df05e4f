#include "zebra/verifier.h"

#include "common/error.h"
#include "fsim/checks.h"
#include "fsim/insn.h"
#include "fsim/limits.h"
#include "fsim/memories.h"
#include "fsim/races.h"
#include "fsim/static_rules.h"
#include "fsim/tokens.h"

namespace zebra {
namespace fsim {
namespace {

class Proof {
 public:
  Proof(const HwSizes& sizes, const Program& program)
      : memories_(sizes, program), races_(memories_) {}

  void judge_all() {
    const Program& program = memories_.program;
    for (std::uint64_t i = 0; i < program.code_bytes / isa::kWordBytes; ++i)
      visit_instruction(
          i, program.code + i * isa::kWordBytes, memories_.sizes,
          [&](const Site& site, const auto& insn, std::uint64_t) { judge(site, insn); });
    tokens_.check_empty();
    check_outputs(memories_);
  }

 private:
  // The rest of the order of checks of docs/architecture.md, behind the static rules.
  template <typename Insn>
  void judge(const Site& site, const Insn& insn) {
    tokens_.take(site, Insn::kEngine, insn.wait);
    races_.enter(site, Insn::kEngine, insn.wait);
    const Operands touched = operands(insn, memories_.sizes);
    check_bounds(site, touched, memories_);
    check_written(site, touched, memories_);
    races_.access(site, Insn::kEngine, touched);
    mark_written(touched, &memories_);
    tokens_.give(Insn::kEngine, insn.signal);
    races_.give(Insn::kEngine, insn.signal);
  }

  Memories memories_;
  Tokens tokens_;
  Races races_;
};

}  // namespace
}  // namespace fsim

Status verify(const HwSizes& sizes, const Program& program, std::string* message) noexcept {
  return guarded("verify", message, [&] {
    fsim::check_sizes(sizes);
    fsim::check_program(program);
    if (program.code == nullptr && program.code_bytes > 0)
      fail(Status::kDriverError, "verify: the code is a null pointer");
    fsim::Proof(sizes, program).judge_all();
  });
}

}  // namespace zebra
