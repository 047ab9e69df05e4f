// How a refusal travels inside the library: one exception, caught at its border.
#ifndef ZEBRA_COMMON_ERROR_H_
#define ZEBRA_COMMON_ERROR_H_

#include <exception>
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

}  // namespace zebra

#endif  // ZEBRA_COMMON_ERROR_H_
