// The TVM runtime module "zebra": one compiled region, run on the functional simulator.
#include <dmlc/memory_io.h>
#include <tvm/runtime/module.h>
#include <tvm/runtime/ndarray.h>
#include <tvm/runtime/packed_func.h>
#include <tvm/runtime/registry.h>

#include <map>
#include <sstream>

#include "runner.h"
#include "tensors.h"

namespace zebra {
namespace {

using tvm::runtime::Module;
using tvm::runtime::ModuleNode;
using tvm::runtime::Object;
using tvm::runtime::ObjectPtr;
using tvm::runtime::PackedFunc;
using tvm::runtime::String;
using tvm::runtime::TVMArgs;
using tvm::runtime::TVMRetValue;

// The artifacts alive in this process, by name, for callers that have no module at hand (AOT).
class Directory {
 public:
  static Directory& Get() {
    static Directory* directory = new Directory();  // never destroyed: modules die late
    return *directory;
  }

  void Add(const std::string& key, const std::shared_ptr<Runner>& runner) {
    std::lock_guard<std::mutex> lock(mutex_);
    Live(key);
    runners_.emplace(key, runner);
  }

  std::shared_ptr<Runner> Find(const std::string& key) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (std::shared_ptr<Runner> runner = Live(key)) return runner;
    throw RunError("DriverError", "no such artifact is loaded; load the whole exported library");
  }

 private:
  // One of the runners of `key` that is still alive, or null; forgets the others.
  std::shared_ptr<Runner> Live(const std::string& key) {
    auto [at, end] = runners_.equal_range(key);
    while (at != end) {
      if (std::shared_ptr<Runner> runner = at->second.lock()) return runner;
      at = runners_.erase(at);
    }
    return nullptr;
  }

  std::mutex mutex_;
  std::multimap<std::string, std::weak_ptr<Runner>> runners_;
};

// Runs `body`; every error becomes one that TVM hands on as "zebra.<class>: <sentence>", which
// the Python side turns into the class of zebra.errors.
template <typename Body>
auto Guarded(const std::string& name, Body body) {
  try {
    return body();
  } catch (const ArtifactError& error) {
    throw std::runtime_error("zebra.ArtifactError: " + name + ": " + error.what());
  } catch (const RunError& error) {
    throw std::runtime_error("zebra." + error.kind + ": " + name + ": " + error.what());
  } catch (const std::bad_alloc&) {
    throw std::runtime_error("zebra.DriverError: " + name + ": the host is out of memory");
  }
}

std::string CountersJson(const Totals& totals) {
  const Counters& counters = totals.counters;
  const auto list = [](const uint64_t* values) {
    std::string text;
    for (int i = 0; i < 4; ++i) text += (i == 0 ? "" : ",") + std::to_string(values[i]);
    return "[" + text + "]";
  };
  std::ostringstream json;
  json << "{\"calls\":" << totals.calls << ",\"seconds\":" << totals.seconds
       << ",\"instructions\":" << list(counters.instructions)
       << ",\"iterations\":" << list(counters.iterations)
       << ",\"dram_read_bytes\":" << counters.dram_read_bytes
       << ",\"dram_written_bytes\":" << counters.dram_written_bytes << ",\"macs\":" << counters.macs
       << "}";
  return json.str();
}

class ZebraModule : public ModuleNode {
 public:
  ZebraModule(std::string symbol, std::string key, std::string artifact)
      : symbol_(std::move(symbol)),
        key_(std::move(key)),
        runner_(Guarded(symbol_, [&] { return std::make_shared<Runner>(std::move(artifact)); })) {
    Directory::Get().Add(key_, runner_);
  }

  const char* type_key() const final { return "zebra"; }

  int GetPropertyMask() const final {
    using tvm::runtime::ModulePropertyMask;
    return ModulePropertyMask::kBinarySerializable | ModulePropertyMask::kRunnable;
  }

  PackedFunc GetFunction(const String& name, const ObjectPtr<Object>& self) final {
    if (name == symbol_) {
      return PackedFunc([self, this](TVMArgs args, TVMRetValue* result) {
        Guarded(symbol_, [&] { RunOnTensors(runner_.get(), args); });
        *result = 0;
      });
    }
    if (name == "get_symbol") {
      return PackedFunc([self, this](TVMArgs, TVMRetValue* result) { *result = String(symbol_); });
    }
    if (name == "get_counters") {
      return PackedFunc([self, this](TVMArgs, TVMRetValue* result) {
        *result = String(CountersJson(runner_->totals()));
      });
    }
    if (name == "get_artifact") {
      return PackedFunc([self, this](TVMArgs, TVMRetValue* result) {
        const std::string& bytes = runner_->artifact().bytes;
        *result = TVMByteArray{bytes.data(), bytes.size()};
      });
    }
    return PackedFunc();
  }

  void SaveToBinary(dmlc::Stream* stream) final {
    stream->Write(symbol_);
    stream->Write(key_);
    stream->Write(runner_->artifact().bytes);
  }

  static Module Load(void* handle) {
    auto* stream = static_cast<dmlc::Stream*>(handle);
    std::string symbol, key, artifact;
    if (!stream->Read(&symbol) || !stream->Read(&key) || !stream->Read(&artifact)) {
      throw std::runtime_error(
          "zebra.ArtifactError: the exported library's zebra module is truncated; export it again");
    }
    return Module(tvm::runtime::make_object<ZebraModule>(symbol, key, artifact));
  }

 private:
  const std::string symbol_;
  const std::string key_;
  const std::shared_ptr<Runner> runner_;
};

// Registered with override, so that a second copy of this library in a process is harmless.
#define ZEBRA_GLOBAL(name)                                      \
  [[maybe_unused]] auto& TVM_STR_CONCAT(global_, __COUNTER__) = \
      ::tvm::runtime::Registry::Register(name, true)

ZEBRA_GLOBAL("runtime.module.loadbinary_zebra").set_body_typed(ZebraModule::Load);

// (symbol, key, artifact bytes) -> module. `key` names the artifact to zebra.run_blob.
ZEBRA_GLOBAL("zebra.runtime.create").set_body([](TVMArgs args, TVMRetValue* result) {
  const std::string symbol = args[0], key = args[1], artifact = args[2];
  *result = Module(tvm::runtime::make_object<ZebraModule>(symbol, key, artifact));
});

// (key, data pointer of each input and output) for code that only has the data (AOT).
ZEBRA_GLOBAL("zebra.run_blob").set_body([](TVMArgs args, TVMRetValue* result) {
  const std::string key = args[0];
  Guarded(key, [&] { RunOnPointers(Directory::Get().Find(key).get(), args); });
  *result = 0;
});

}  // namespace
}  // namespace zebra
