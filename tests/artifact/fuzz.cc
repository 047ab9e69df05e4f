// artifact_fuzz SAMPLE COUNT: damages the sample artifact COUNT times, seals each copy with a
// sound checksum, reads it and packs its inputs. Every copy must be read or refused with an
// ArtifactError; the sanitizers see everything else.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "container.h"
#include "pack.h"
#include "zebra/artifact.h"

namespace {

std::string Damaged(std::string file, std::mt19937* random) {
  constexpr size_t kSections = 24;
  const size_t damages = 1 + (*random)() % 4;
  for (size_t i = 0; i < damages; ++i) {
    const size_t at = kSections + (*random)() % (file.size() - kSections);
    // Small and huge numbers are where sizes and counts go wrong.
    const char values[] = {0, 1, 2, '\x7f', '\xff', static_cast<char>((*random)())};
    file[at] = values[(*random)() % sizeof values];
  }
  const uint32_t checksum = zebra::Crc32(std::string_view(file).substr(16));
  for (int i = 0; i < 4; ++i) file[12 + i] = static_cast<char>(checksum >> 8 * i);
  return file;
}

// Packs every input and unpacks every output that is not too big to try, from and to arrays of just
// their sizes.
void PackAndUnpack(const zebra::Artifact& artifact) {
  constexpr uint64_t kMost = 1 << 20;
  if (artifact.program.dram_bytes > kMost) return;
  std::vector<int8_t> dram(artifact.program.dram_bytes);
  for (const zebra::InputPort& port : artifact.inputs) {
    const auto& [n, c, h, w] = port.dims;
    if (n * c * h * w > kMost) continue;
    const std::vector<int8_t> dense(n * c * h * w);
    zebra::Pack(port, artifact.sizes.block, dense.data(), dram.data() + port.address);
  }
  for (const zebra::OutputPort& port : artifact.outputs) {
    uint64_t size = 1;
    for (int64_t extent : port.shape) size *= extent;
    std::vector<int8_t> dense(size);
    zebra::Unpack(port, artifact.sizes.block, dram.data(), dense.data());
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: artifact_fuzz SAMPLE COUNT\n");
    return 2;
  }
  std::ifstream stream(arguments[1], std::ios::binary);
  const std::string sample((std::istreambuf_iterator<char>(stream)), {});
  const zebra::Artifact sound(sample);
  PackAndUnpack(sound);
  std::mt19937 random(1);
  int refused = 0;
  const int copies = std::atoi(arguments[2]);
  for (int i = 0; i < copies; ++i) {
    try {
      zebra::Artifact artifact(Damaged(sample, &random));
      PackAndUnpack(artifact);
    } catch (const zebra::ArtifactError&) {
      ++refused;
    }
  }
  std::printf("%d of %d damaged artifacts were refused\n", refused, copies);
  return refused > 0 ? 0 : 1;
}
