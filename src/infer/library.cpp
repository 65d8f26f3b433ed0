#include "infer/library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::infer {
namespace {

constexpr const char* kVariable = "IMAGE_ENGINE_ONNXRUNTIME";
constexpr const char* kName = "libonnxruntime.so.1";
constexpr const char* kOperatorsVariable = "IMAGE_ENGINE_GPU_OPS";
constexpr const char* kOperatorsName = "libimage-engine-gpu-ops.so";

// Since 1.29, ONNX Runtime's official builds report models and sessions over the network. The switch in its API takes
// effect after the first event; this variable does from the start. Set before main(), and so before any thread starts,
// for this process and its children, overriding any value.
[[gnu::constructor]] void refuse_telemetry() { ::setenv("ORT_DISABLE_TELEMETRY", "1", 1); }

std::string library_file() {
  if (const char* named = std::getenv(kVariable); named != nullptr && *named != '\0') return named;
  for (const char* folder : {"../lib", "../../onnxruntime-gpu/lib", "../../onnxruntime/lib"}) {
    std::string file = join_path(join_path(executable_folder(), folder), kName);
    if (::access(file.c_str(), F_OK) == 0) return file;
  }
  return kName;
}

}  // namespace

std::string operators_library() {
  if (const char* named = std::getenv(kOperatorsVariable); named != nullptr && *named != '\0') return named;
  for (const char* folder : {"", "../lib"}) {
    std::string file = join_path(join_path(executable_folder(), folder), kOperatorsName);
    if (::access(file.c_str(), R_OK) == 0) return file;
  }
  return {};
}

std::string operators_identity() {
  const std::string file = operators_library();
  struct stat info {};
  if (file.empty() || ::stat(file.c_str(), &info) != 0) return {};
  return fmt::format("{} {} {}", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

Result<void*> load_runtime_library() {
  const std::string file = library_file();
  if (void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  const char* reason = ::dlerror();
  return fail(ErrorCode::kNotFound,
              fmt::format("ONNX Runtime is missing: {}. Install it (tools/setup.sh in a source tree), or set {} to a "
                          "{}, such as the one in the Python package onnxruntime",
                          printable(reason != nullptr ? reason : file), kVariable, kName));
}

}  // namespace image_engine::infer
