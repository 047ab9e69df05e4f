// How a refusal travels inside the library: one exception, caught at its border.
#ifndef ZEBRA_COMMON_ERROR_H_
#define ZEBRA_COMMON_ERROR_H_

#include <exception>
#include <new>
#include <sstream>
#include <string>
#include <utility>

#include "zebra/simulator.h"

namespace zebra {

class Error : public std::exception {
 public:
  Error(Status status, std::string message) : status_(status), message_(std::move(message)) {}
  Status status() const { return status_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  Status status_;
  std::string message_;
};

// Throw an Error whose message is the parts, one behind the other.
template <typename... Parts>
[[noreturn]] void fail(Status status, const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw Error(status, text.str());
}

// The status of `work()`. Where it throws, `*message`, unless null, says why; `part` is the part of
// the library that has run out of memory. Without memory for the message the status has to do.
template <typename Work>
Status guarded(const char* part, std::string* message, Work work) noexcept {
  const auto refused = [&](Status status, const char* text, const char* rest) {
    try {
      if (message != nullptr) *message = std::string(text) + rest;
    } catch (const std::bad_alloc&) {
      message->clear();
    }
    return status;
  };
  try {
    work();
    return Status::kOk;
  } catch (const Error& error) {
    return refused(error.status(), error.what(), "");
  } catch (const std::bad_alloc&) {
    return refused(Status::kDriverError, part,
                   ": there is not enough memory for this configuration and program");
  } catch (const std::exception& error) {
    return refused(Status::kDriverError, error.what(), "");
  }
}

}  // namespace zebra

#endif  // ZEBRA_COMMON_ERROR_H_
