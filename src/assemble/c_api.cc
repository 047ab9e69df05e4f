#include "zebra/c_api.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "assemble/tracker.h"
#include "common/error.h"
#include "zebra/isa.h"

namespace {

using zebra::fail;
using zebra::Status;

static_assert(sizeof(ZebraTouch) == 24 && sizeof(ZebraField) == 16);

constexpr unsigned kWaitBit = 4;  // behind the opcode
constexpr unsigned kSignalBit = 8;

// Add `value` to a word of zeros from `bit` on.
void put(std::uint8_t* word, std::uint32_t bit, std::uint64_t value) {
  std::uint64_t shifted = value << (bit % 8);  // fields are at most 32 bits wide
  for (std::size_t i = bit / 8; shifted != 0; ++i, shifted >>= 8)
    word[i] = static_cast<std::uint8_t>(word[i] | (shifted & 0xff));
}

class Assembly {
 public:
  explicit Assembly(const ZebraListing& listing) : list_(listing), tracker_(listing.count) {}

  void write(std::uint8_t* code) {
    const std::int64_t* addresses = list_.addresses;
    for (std::uint64_t i = 0; i < list_.count; ++i) {
      const std::uint32_t shape = list_.shapes[i];
      std::uint8_t* word = code + i * zebra::isa::kWordBytes;
      std::memcpy(word, list_.words + shape * zebra::isa::kWordBytes, zebra::isa::kWordBytes);
      place(i, shape, addresses, word);
      touch(i, shape, addresses);
      addresses += list_.first_field[shape + 1] - list_.first_field[shape];
    }
    for (std::uint64_t i = 0; i < list_.count; ++i) {
      put(code + i * zebra::isa::kWordBytes, kWaitBit, tracker_.wait(i));
      put(code + i * zebra::isa::kWordBytes, kSignalBit, tracker_.signal(i));
    }
  }

 private:
  void place(std::uint64_t i, std::uint32_t shape, const std::int64_t* addresses,
             std::uint8_t* word) const {
    const ZebraField* fields = list_.fields + list_.first_field[shape];
    const std::uint32_t count = list_.first_field[shape + 1] - list_.first_field[shape];
    for (std::uint32_t field = 0; field < count; ++field) {
      const std::int64_t address = addresses[field];
      if (address < 0 || static_cast<std::uint64_t>(address) > fields[field].limit)
        fail(Status::kEncodingError, "instruction ", i, ": address ", field, " = ", address,
             " does not fit: the field holds 0..", fields[field].limit);
      put(word, fields[field].bit, static_cast<std::uint64_t>(address));
    }
  }

  void touch(std::uint64_t i, std::uint32_t shape, const std::int64_t* addresses) {
    const std::size_t engine = list_.engines[shape];
    for (std::uint32_t k = list_.first_touch[shape]; k < list_.first_touch[shape + 1]; ++k) {
      const ZebraTouch& one = list_.touches[k];
      const std::int64_t base = one.field < 0 ? 0 : addresses[one.field];
      tracker_.touch(one.memory, static_cast<std::uint64_t>(base + one.start),
                     static_cast<std::uint64_t>(base + one.stop), one.write != 0, engine, i);
    }
    tracker_.end(engine, i);
  }

  const ZebraListing& list_;
  zebra::assemble::Tracker tracker_;
};

}  // namespace

int zebra_assemble(const ZebraListing* listing, uint8_t* code, char* error, size_t error_bytes) {
  std::string message;
  const Status status = zebra::guarded("assemble", &message, [&] {
    if (listing == nullptr || (code == nullptr && listing->count > 0))
      fail(Status::kDriverError, "assemble: the listing or the code is a null pointer");
    Assembly(*listing).write(code);
  });
  if (error != nullptr && error_bytes > 0) {
    const size_t length = std::min(message.size(), error_bytes - 1);
    std::memcpy(error, message.data(), length);
    error[length] = '\0';
  }
  return static_cast<int>(status);
}
