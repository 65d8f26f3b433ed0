// An ignore file, asked about the paths that are its own lines.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "scan/globs.h"

using namespace image_engine;

namespace {

// `text` as a pattern that means itself.
std::string quoted(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    pattern += '\\';
    pattern += c;
  }
  return pattern;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  size_t refused = 0;
  const auto list = scan::PatternList::parse(text, &refused);
  for (size_t at = 0; at < size && at < 512; at = text.find('\n', at) + 1) {
    const auto line = text.substr(at, text.find('\n', at) - at);
    const bool folder = list.check(line, true) != scan::Verdict::kUndecided;
    const bool file = list.check(line, false) != scan::Verdict::kUndecided;
    if (file && !folder) std::abort();  // what holds for a file of that name holds for a folder
    if (!scan::Glob(quoted(line)).matches(line)) std::abort();
    if (text.find('\n', at) == std::string_view::npos) break;
  }
  return 0;
}
