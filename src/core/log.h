// The program's log: lines on stderr with more detail than progress and results.
#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace image_engine {

enum class LogLevel { kDebug, kInfo, kWarning };

// Sets the lowest level that is written: "trace", "debug", "info", "warn", "error" or "off"; initially "info". Call it
// once, before other threads log.
void start_log(std::string_view level);

// All functions below are thread-safe. `message` is written in its printable() form.
bool logs(LogLevel level);
void log_line(LogLevel level, std::string_view message);

// Formats only if the level is logged; uses fmt's compiled library, so that callers instantiate no formatter.
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
