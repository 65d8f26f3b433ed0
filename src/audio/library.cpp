#include "audio/library.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <string>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::audio {
namespace {

std::string sound_library_file(const char* name) {
  for (const char* folder : {"../lib/sherpa-onnx", "../../sherpa-onnx/lib"}) {
    std::string file = join_path(join_path(executable_folder(), folder), name);
    if (::access(file.c_str(), F_OK) == 0) return file;
  }
  return name;
}

}  // namespace

Result<void*> load_sound_library(const char* name) {
  const std::string file = sound_library_file(name);
  if (void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  const char* reason = ::dlerror();
  return fail(ErrorCode::kNotFound,
              fmt::format("{} cannot be loaded: {}. It comes with the program in lib/sherpa-onnx; in a source tree "
                          "tools/setup.sh fetches it",
                          name, printable(reason != nullptr ? reason : file)));
}

}  // namespace image_engine::audio
