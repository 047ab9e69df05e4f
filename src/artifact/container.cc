#include "container.h"

#include <algorithm>
#include <string>
#include <vector>

#include "reader.h"

namespace zebra {
namespace {

constexpr std::string_view kMagic = "ZEBRAART";
constexpr uint32_t kFormatVersion = 5;
constexpr size_t kHeaderBytes = 24;
constexpr size_t kCheckedFrom = 16;
constexpr std::array<std::string_view, kSections> kTags = {"CONF", "HASH", "HWSZ", "META",
                                                           "PORT", "DRAM", "CODE", "CNST"};
constexpr const char* kAgain = "; copy or build it again";

[[noreturn]] void Fail(const std::string& what) { throw ArtifactError("the artifact " + what); }

std::array<uint32_t, 256> CrcTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? 0xEDB88320u : 0u);
    table[i] = value;
  }
  return table;
}

void CheckHeader(std::string_view file) {
  if (file.substr(0, kMagic.size()) != kMagic.substr(0, file.size())) {
    Fail("is not a Zebra artifact: it does not start with ZEBRAART; give a file that Zebra wrote");
  }
  if (file.size() < kHeaderBytes) {
    Fail("is truncated: it has " + std::to_string(file.size()) + " bytes" + kAgain);
  }
  Reader header(file.substr(kMagic.size(), kHeaderBytes - kMagic.size()), "the header");
  const uint32_t version = header.U32();
  const uint32_t checksum = header.U32();
  const uint64_t length = header.U64();
  if (version > kFormatVersion) {
    Fail("has format version " + std::to_string(version) + ", from a newer Zebra; this one reads " +
         std::to_string(kFormatVersion) + ": update Zebra or build the artifact again");
  }
  if (version == 0) Fail(std::string("has format version 0, which never existed") + kAgain);
  if (version < kFormatVersion) {
    Fail("has format version " + std::to_string(version) +
         ", from an older Zebra; this one reads " + std::to_string(kFormatVersion) +
         ": build the artifact again");
  }
  if (file.size() < length) {
    Fail("is truncated: it has " + std::to_string(file.size()) + " of the " +
         std::to_string(length) + " bytes its header promises" + kAgain);
  }
  if (file.size() > length) {
    Fail("has " + std::to_string(file.size()) + " bytes where its header promises " +
         std::to_string(length) + kAgain);
  }
  if (Crc32(file.substr(kCheckedFrom)) != checksum) {
    Fail(std::string("is corrupt: its checksum is not its content's") + kAgain);
  }
}

void CheckTags(const std::vector<std::string_view>& tags) {
  for (std::string_view tag : tags) {
    if (std::find(kTags.begin(), kTags.end(), tag) == kTags.end()) {
      Fail(std::string("has an unknown section") + kAgain);
    }
    if (std::count(tags.begin(), tags.end(), tag) > 1) {
      Fail("has section " + std::string(tag) + " more than once" + kAgain);
    }
  }
  for (std::string_view tag : kTags) {
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) {
      Fail("has no section " + std::string(tag) + kAgain);
    }
  }
  if (!std::equal(tags.begin(), tags.end(), kTags.begin())) {
    Fail(std::string("has its sections out of order") + kAgain);
  }
}

}  // namespace

uint32_t Crc32(std::string_view data) {
  static const std::array<uint32_t, 256> table = CrcTable();
  uint32_t crc = ~0u;
  for (char byte : data) crc = crc >> 8 ^ table[(crc ^ static_cast<uint8_t>(byte)) & 255];
  return ~crc;
}

std::array<std::string_view, kSections> Unpack(std::string_view file) {
  CheckHeader(file);
  std::vector<std::string_view> tags, payloads;
  Reader reader(file.substr(kHeaderBytes), "the artifact's row of sections");
  while (reader.left() != 0 && tags.size() <= kSections) {
    tags.push_back(reader.Raw(4));
    payloads.push_back(reader.Raw(reader.U64()));
  }
  CheckTags(tags);
  std::array<std::string_view, kSections> sections;
  std::copy(payloads.begin(), payloads.end(), sections.begin());
  return sections;
}

}  // namespace zebra
