// zebra_fuzz CORPUS MUTANTS [SEED]: run the programs of write_corpus.py and damaged copies of
// them on the simulator. Built with ZEBRA_SANITIZE=ON, any stray access or overflow ends it.
//
// Every program must end as the golden model says, on every kernel; every mutant must end the
// same way, with the same DRAM, on every kernel and number of threads.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "zebra/isa.h"
#include "zebra/simulator.h"
#include "zebra/verifier.h"

namespace {

using Bytes = std::vector<std::uint8_t>;
using Random = std::mt19937_64;

constexpr std::uint64_t kBearableIterations = 1 << 13;
constexpr std::size_t kWord = zebra::isa::kWordBytes;

struct Entry {
  zebra::HwSizes sizes;
  zebra::Program program;
  Bytes code, before, after;
  zebra::Status status;
};

struct Outcome {
  zebra::Status status;
  std::string message;
  Bytes dram;
  bool operator==(const Outcome& other) const {
    return status == other.status && message == other.message && dram == other.dram;
  }
};

class Reader {
 public:
  explicit Reader(const char* path) {
    std::ifstream file(path, std::ios::binary);
    data_.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  template <typename T>
  T number() {
    T value;
    const Bytes raw = bytes(sizeof(T));
    std::memcpy(&value, raw.data(), sizeof(T));
    return value;
  }
  Bytes bytes(std::uint64_t count) {
    if (count > data_.size() - at_) throw std::runtime_error("the corpus is cut short");
    at_ += count;
    return Bytes(data_.begin() + static_cast<std::ptrdiff_t>(at_ - count),
                 data_.begin() + static_cast<std::ptrdiff_t>(at_));
  }

 private:
  Bytes data_;
  std::size_t at_ = 0;
};

Entry read_entry(Reader& reader) {
  Entry entry;
  zebra::HwSizes& s = entry.sizes;
  for (std::uint32_t* size :
       {&s.rows, &s.block, &s.act, &s.wgt, &s.acc, &s.par, &s.tab, &s.mult_width})
    *size = reader.number<std::uint32_t>();
  entry.program.dram_bytes = reader.number<std::uint64_t>();
  entry.program.constant_bytes = reader.number<std::uint64_t>();
  const auto code_bytes = reader.number<std::uint64_t>();
  entry.program.inputs.resize(reader.number<std::uint64_t>());
  entry.program.outputs.resize(reader.number<std::uint64_t>());
  for (auto* spans : {&entry.program.inputs, &entry.program.outputs})
    for (zebra::Span& span : *spans) {
      span.start = reader.number<std::uint64_t>();
      span.size = reader.number<std::uint64_t>();
    }
  entry.code = reader.bytes(code_bytes);
  entry.before = reader.bytes(entry.program.dram_bytes);
  entry.status = static_cast<zebra::Status>(reader.number<std::uint64_t>());
  entry.after = reader.bytes(entry.program.dram_bytes);
  return entry;
}

Outcome run(const Entry& entry, zebra::Kernel kernel, unsigned threads) {
  zebra::RunOptions options;
  options.kernel = kernel;
  options.threads = threads;
  zebra::Program program = entry.program;
  program.code = entry.code.data();
  program.code_bytes = entry.code.size();
  Outcome outcome;
  outcome.dram = entry.before;
  outcome.status = zebra::Simulator(entry.sizes, options)
                       .run(program, outcome.dram.data(), nullptr, &outcome.message);
  return outcome;
}

// The verifier has the simulator's rules but for the parameters of POST (an OperandError), which
// are data, and one more: races (a TokenError), maybe at an earlier instruction.
bool verdict_fits(const Entry& entry, const Outcome& ran) {
  zebra::Program program = entry.program;
  program.code = entry.code.data();
  program.code_bytes = entry.code.size();
  std::string message;
  const zebra::Status verdict = zebra::verify(entry.sizes, program, &message);
  if (message.find("no chain of tokens") != std::string::npos) return true;
  return ran.status == zebra::Status::kOperandError ||
         (verdict == ran.status &&
          message.substr(message.find(':') + 1) == ran.message.substr(ran.message.find(':') + 1));
}

template <typename Insn>
std::uint64_t iterations(const std::uint8_t* word) {
  Insn insn;
  std::uint64_t count = 1;
  if (!zebra::isa::decode(word, &insn)) return 1;
  for (const auto& level : insn.loops)
    count = std::min<std::uint64_t>(count * level.extent, std::uint64_t{1} << 40);
  return count;
}

// Whether no instruction runs for seconds under the sanitizers. (Too many iterations to be
// legal are no problem: they are refused.)
bool bearable(const Bytes& code) {
  using namespace zebra::isa;
  for (std::size_t at = 0; at + kWord <= code.size(); at += kWord) {
    const std::uint8_t* word = code.data() + at;
    const std::uint64_t count =
        std::max({iterations<Load>(word), iterations<Store>(word), iterations<Fill>(word),
                  iterations<Gemm>(word), iterations<Accum>(word), iterations<Post>(word)});
    if (count > kBearableIterations && count <= 1 << 24) return false;
  }
  return true;
}

std::size_t below(Random& random, std::size_t limit) { return random() % limit; }

void damage_code(Random& random, Bytes& code) {
  const std::size_t words = code.size() / kWord;
  if (words == 0) return;
  std::uint8_t* word = code.data() + kWord * below(random, words);
  switch (below(random, 6)) {
    case 0:
      code.resize(below(random, code.size()));
      break;
    case 1:
      std::swap_ranges(word, word + kWord, code.data() + kWord * below(random, words));
      break;
    case 2:
      for (std::size_t i = 0; i < kWord; ++i) word[i] = static_cast<std::uint8_t>(random());
      break;
    default:
      for (std::size_t i = 1 + below(random, 4); i > 0; --i)
        word[below(random, kWord)] ^= static_cast<std::uint8_t>(1u << below(random, 8));
  }
}

void damage_contract(Random& random, Entry& entry) {
  zebra::HwSizes& s = entry.sizes;
  std::uint32_t* const sizes[] = {&s.block, &s.act, &s.wgt, &s.acc, &s.par, &s.tab, &s.mult_width};
  std::uint32_t& size = *sizes[below(random, 7)];
  switch (below(random, 4)) {
    case 0:
      size = static_cast<std::uint32_t>(below(random, 2) == 0 ? random() : size / 2);
      break;
    case 1:
      entry.program.constant_bytes = below(random, 2) == 0 ? random() : 0;
      break;
    case 2:
      entry.program.outputs.push_back({random(), random()});
      break;
    default:
      entry.program.inputs.assign(1, {below(random, entry.program.dram_bytes + 1), 0});
  }
}

Entry mutate(Random& random, const Entry& original) {
  Entry mutant = original;
  if (below(random, 5) == 0) damage_contract(random, mutant);
  for (std::size_t i = 1 + below(random, 2); i > 0; --i) damage_code(random, mutant.code);
  return mutant;
}

std::vector<zebra::Kernel> kernels() {
  std::vector<zebra::Kernel> result;
  for (const auto kernel :
       {zebra::Kernel::kPortable, zebra::Kernel::kAvx2, zebra::Kernel::kAvx512Vnni})
    if (zebra::kernel_available(kernel)) result.push_back(kernel);
  return result;
}

bool check_entry(const Entry& entry) {
  for (const zebra::Kernel kernel : kernels()) {
    const Outcome outcome = run(entry, kernel, 2);
    if (outcome.status != entry.status || outcome.dram != entry.after) return false;
    if (!verdict_fits(entry, outcome)) return false;
  }
  return true;
}

bool check_mutant(const Entry& mutant) {
  const Outcome expected = run(mutant, zebra::Kernel::kPortable, 1);
  if (!verdict_fits(mutant, expected)) return false;
  for (const zebra::Kernel kernel : kernels())
    if (!(run(mutant, kernel, 2) == expected)) return false;
  return true;
}

int fuzz(const char* path, int mutants, std::uint64_t seed) {
  Random random(seed);
  Reader reader(path);
  const auto count = reader.number<std::uint64_t>();
  std::uint64_t runs = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const Entry entry = read_entry(reader);
    if (!check_entry(entry)) {
      std::fprintf(stderr, "program %d differs from the golden model\n", static_cast<int>(i));
      return 1;
    }
    for (int m = 0; m < mutants; ++m) {
      const Entry mutant = mutate(random, entry);
      if (!bearable(mutant.code)) continue;
      ++runs;
      if (check_mutant(mutant)) continue;
      std::fprintf(stderr, "mutant %d of program %d differs between kernels or is judged wrongly\n",
                   m, static_cast<int>(i));
      return 1;
    }
  }
  std::printf("%d programs and %d mutants passed\n", static_cast<int>(count),
              static_cast<int>(runs));
  return count == 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: zebra_fuzz CORPUS MUTANTS [SEED]\n");
    return 2;
  }
  try {
    return fuzz(argv[1], std::atoi(argv[2]), argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
