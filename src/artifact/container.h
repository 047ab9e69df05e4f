// The artifact's outer format: header, checksum and the row of sections.
#ifndef ZEBRA_ARTIFACT_CONTAINER_H_
#define ZEBRA_ARTIFACT_CONTAINER_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace zebra {

enum Section { kConf, kHash, kHwsz, kMeta, kPort, kDram, kCode, kCnst, kSections };

// The CRC-32 of zlib.
uint32_t Crc32(std::string_view data);

// The payloads, indexed by Section; ArtifactError on anything but a whole artifact.
std::array<std::string_view, kSections> Unpack(std::string_view file);

}  // namespace zebra

#endif  // ZEBRA_ARTIFACT_CONTAINER_H_
