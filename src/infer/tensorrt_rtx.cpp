#include "infer/tensorrt_rtx.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "core/file.h"

namespace image_engine::infer {
namespace {

constexpr const char* kPluginVariable = "IMAGE_ENGINE_TENSORRT_RTX";
constexpr const char* kPlugin = "libonnxruntime_providers_nv_tensorrt_rtx.so";
// In order of dependency; once loaded they are found by name.
constexpr const char* kNeeded[] = {"libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1"};

std::string plugin_file() {
  if (const char* named = std::getenv(kPluginVariable); named != nullptr && *named != '\0') {
    struct stat info {};
    const bool is_folder = ::stat(named, &info) == 0 && S_ISDIR(info.st_mode);
    return is_folder ? join_path(named, kPlugin) : named;
  }
  for (const char* folder : {"../lib", "../../onnxruntime-gpu/lib"}) {
    std::string file = join_path(join_path(executable_folder(), folder), kPlugin);
    if (::access(file.c_str(), F_OK) == 0) return file;
  }
  return "";
}

std::vector<Ort::ConstEpDevice> offered() {
  std::vector<Ort::ConstEpDevice> devices = runtime()->env.GetEpDevices();
  std::erase_if(devices, [](const Ort::ConstEpDevice& device) {
    return device.EpName() != provider_runtime_name(Provider::kTensorRtRtx);
  });
  return devices;
}

Status load_plugin() {
  if (!runtime()) return fail(runtime().error());
  const std::string file = plugin_file();
  if (file.empty() || ::access(file.c_str(), F_OK) != 0)
    return fail(ErrorCode::kNotFound, fmt::format("its plugin {} is missing: run `make setup GPU=1`, or set {} to "
                                                  "the folder with it",
                                                  file.empty() ? kPlugin : printable(file), kPluginVariable));
  for (const char* name : kNeeded)
    if (::dlopen(join_path(parent_path(file), name).c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr) {
      const char* reason = ::dlerror();
      return fail(ErrorCode::kNotFound,
                  fmt::format("{} cannot be loaded: {}", name, printable(reason != nullptr ? reason : "not found")));
    }
  return guarded({"its plugin cannot be loaded", {}, ErrorCode::kNotFound}, [&]() -> Status {
    Ort::ThrowOnError(
        Ort::GetApi().RegisterExecutionProviderLibrary(runtime()->env, "NvTensorRTRTXExecutionProvider", file.c_str()));
    if (offered().empty()) return fail(ErrorCode::kUnsupported, "it supports none of the GPUs here");
    return {};
  });
}

// CUDA's number of a GPU that the plugin offers; without one its index in the list.
int number_of(const Ort::ConstEpDevice& device, int index) {
  const char* text = device.EpOptions().GetValue("device_id");
  return text != nullptr ? std::atoi(text) : index;
}

}  // namespace

Status check_rtx_plugin() {
  static const Status kLoaded = load_plugin();
  return kLoaded;
}

void append_rtx_plugin(Ort::SessionOptions& theirs, int device, const ProviderOptions& options) {
  if (const Status loaded = check_rtx_plugin(); !loaded) throw Ort::Exception(loaded.error().message, ORT_EP_FAIL);
  const std::vector<Ort::ConstEpDevice> devices = offered();
  std::vector<const char*> names, values;
  for (const auto& [name, value] : options) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  for (std::size_t i = 0; i < devices.size(); ++i) {
    if (number_of(devices[i], static_cast<int>(i)) != device) continue;
    const OrtEpDevice* wanted = devices[i];
    Ort::ThrowOnError(Ort::GetApi().SessionOptionsAppendExecutionProvider_V2(
        theirs, runtime()->env, &wanted, 1, names.data(), values.data(), names.size()));
    return;
  }
  throw Ort::Exception(fmt::format("TensorRT for RTX does not support GPU {}", device), ORT_EP_FAIL);
}

}  // namespace image_engine::infer
