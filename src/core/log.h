// The program's log: lines on stderr, for whoever wants to know more than the progress and the result say.
#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace image_engine {

enum class LogLevel { kDebug, kInfo, kWarning };

// From now on lines of `level` and above are written: "trace", "debug", "info", "warn", "error" or "off"; before the
// first call "info". Call it once, before other threads log.
void start_log(std::string_view level);

// All functions below are thread-safe. `message` is written as printable() makes it.
bool logs(LogLevel level);
void log_line(LogLevel level, std::string_view message);

// Formatted only where the level is logged; with fmt's compiled library, so that no caller instantiates a formatter.
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  if (logs(LogLevel::kDebug)) log_line(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  if (logs(LogLevel::kInfo)) log_line(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  if (logs(LogLevel::kWarning)) log_line(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace image_engine
