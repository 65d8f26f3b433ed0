#include "core/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <string>

#include "core/text.h"

namespace image_engine {
namespace {

spdlog::level::level_enum level_of(LogLevel level) {
  constexpr spdlog::level::level_enum kLevels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn};
  return kLevels[static_cast<size_t>(level)];
}

}  // namespace

void start_log(std::string_view level) {
  auto logger = spdlog::stderr_color_mt("image-engine");
  logger->set_pattern("%H:%M:%S %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(std::string(level)));
  spdlog::set_default_logger(std::move(logger));
}

bool logs(LogLevel level) { return spdlog::should_log(level_of(level)); }

void log_line(LogLevel level, std::string_view message) {
  const std::string safe = printable(message);
  spdlog::default_logger_raw()->log(level_of(level), spdlog::string_view_t(safe.data(), safe.size()));
}

}  // namespace image_engine
