// Bounds-checked little-endian reading.
#ifndef ZEBRA_ARTIFACT_READER_H_
#define ZEBRA_ARTIFACT_READER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "zebra/artifact.h"

namespace zebra {

class Reader {
 public:
  // `where` names what is read in the ArtifactError of a read past the end.
  Reader(std::string_view data, std::string where) : data_(data), where_(std::move(where)) {}

  size_t left() const { return data_.size(); }
  const std::string& where() const { return where_; }

  std::string_view Raw(uint64_t size) {
    if (size > data_.size()) {
      throw ArtifactError(where_ + " is truncated: " + std::to_string(size) +
                          " bytes are needed and " + std::to_string(data_.size()) +
                          " are left; build the artifact again");
    }
    std::string_view head = data_.substr(0, size);
    data_.remove_prefix(size);
    return head;
  }

  uint32_t U32() { return static_cast<uint32_t>(Number(4)); }
  int32_t I32() { return static_cast<int32_t>(U32()); }
  uint64_t U64() { return Number(8); }
  std::string Text() { return std::string(Raw(U32())); }

  void Finish() const {
    if (!data_.empty()) {
      throw ArtifactError(where_ + " has " + std::to_string(data_.size()) +
                          " bytes too many; build the artifact again");
    }
  }

 private:
  uint64_t Number(int bytes) {
    std::string_view raw = Raw(bytes);
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(raw[i]);
    return value;
  }

  std::string_view data_;
  std::string where_;
};

}  // namespace zebra

#endif  // ZEBRA_ARTIFACT_READER_H_
