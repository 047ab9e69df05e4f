// The verifier: proves a program legal before it runs, without data.
//
// The rules and their order are docs/architecture.md's; on top comes the race check. Python's
// zebra.isa.verify is the definition that tests compare this one with.
#ifndef ZEBRA_VERIFIER_H_
#define ZEBRA_VERIFIER_H_

#include <string>

#include "zebra/simulator.h"

namespace zebra {

// kOk, or the first rule that `program` breaks; `*message`, which may be null, is then one
// sentence. Parameters of POST, which are data, are not looked at. Never throws.
Status verify(const HwSizes& sizes, const Program& program, std::string* message) noexcept;

}  // namespace zebra

#endif  // ZEBRA_VERIFIER_H_
