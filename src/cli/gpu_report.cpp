#include "cli/gpu_report.h"

#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "core/text.h"

namespace image_engine::cli {
namespace {

using nlohmann::json;

constexpr const char* kUnknown = "–";

std::string percent(double share) { return fmt::format("{:.0f} %", share * 100); }
std::string bytes(double number) { return human_bytes(static_cast<std::uint64_t>(number)); }
std::string watts(double number) { return fmt::format("{:.0f} W", number); }
std::string degrees(double number) { return fmt::format("{:.0f} °C", number); }
std::string watt_hours(double joules) { return fmt::format("{:.2f} Wh", joules / 3600); }

template <typename Number>
std::string text_of(const std::optional<Number>& number, std::string (*text)(double)) {
  return number ? text(static_cast<double>(*number)) : kUnknown;
}
std::string mean_text(const std::optional<gpu::Spread>& spread, std::string (*text)(double)) {
  return spread ? text(spread->mean) : kUnknown;
}
std::string peak_text(const std::optional<gpu::Spread>& spread, std::string (*text)(double)) {
  return spread ? text(spread->peak) : kUnknown;
}

template <typename Number>
json number_json(const std::optional<Number>& number) {
  return number ? json(*number) : json();
}
json text_json(const std::optional<gpu::Version>& version) { return version ? json(version->text()) : json(); }
json spread_json(const std::optional<gpu::Spread>& spread) {
  return spread ? json{{"mean", spread->mean}, {"peak", spread->peak}} : json();
}

json gpu_json(const gpu::Driver& driver, const gpu::Summary& gpu) {
  return {{"index", gpu.device.index},
          {"name", gpu.device.name},
          {"uuid", gpu.device.uuid},
          {"compute_capability", text_json(gpu.device.compute_capability)},
          {"memory_bytes", number_json(gpu.device.memory)},
          {"driver", driver.version},
          {"cuda", text_json(driver.cuda)},
          {"samples", gpu.samples},
          {"error", gpu.error.empty() ? json() : json(gpu.error)},
          {"utilisation", spread_json(gpu.utilisation)},
          {"memory_used_bytes", spread_json(gpu.memory)},
          {"memory_before_bytes", number_json(gpu.memory_before)},
          {"memory_added_bytes", number_json(gpu.memory_added())},
          {"power_watts", spread_json(gpu.power)},
          {"power_limit_watts", number_json(gpu.power_limit)},
          {"energy_joules", number_json(gpu.energy)},
          {"temperature_peak_celsius", number_json(gpu.temperature_peak)},
          {"held_back", gpu::reasons(gpu.held_back)}};
}

}  // namespace

GpuMonitor watch_gpus(bool explain) {
  Result<gpu::Nvml> nvml = gpu::Nvml::open();
  if (nvml) return std::make_unique<gpu::Monitor>(std::move(*nvml));
  if (explain) std::fprintf(stderr, "--monitor has nothing to show: %s\n", printable(nvml.error().message).c_str());
  return nullptr;
}

std::string gpus_now(const gpu::Monitor& monitor) {
  const std::vector<gpu::Summary> gpus = monitor.summaries();
  std::string line;
  for (const gpu::Summary& gpu : gpus) {
    line += line.empty() ? "GPU" : "  GPU";
    if (gpus.size() > 1) line += fmt::format(" {}:", gpu.device.index);
    if (!gpu.last) {
      line += " no answer";
      continue;
    }
    line +=
        fmt::format(" {}  {}  {}  {}", text_of(gpu.last->utilisation, percent), text_of(gpu.last->memory_used, bytes),
                    text_of(gpu.last->power, watts), text_of(gpu.last->temperature, degrees));
  }
  return line;
}

json gpus_json(const GpuMonitor& monitor) {
  json gpus = json::array();
  if (monitor == nullptr) return gpus;
  for (const gpu::Summary& gpu : monitor->summaries()) gpus.push_back(gpu_json(monitor->driver(), gpu));
  return gpus;
}

void print_gpus(const Context& context, const gpu::Monitor& monitor) {
  const std::vector<gpu::Summary> gpus = monitor.summaries();
  std::vector<std::vector<std::string>> rows = {
      {"GPU", "busy", "peak", "memory", "peak", "added", "power", "peak", "energy", "hottest"}};
  for (const gpu::Summary& gpu : gpus)
    rows.push_back({fmt::format("{} {}", gpu.device.index, printable(gpu.device.name)),
                    mean_text(gpu.utilisation, percent), peak_text(gpu.utilisation, percent),
                    mean_text(gpu.memory, bytes), peak_text(gpu.memory, bytes), text_of(gpu.memory_added(), bytes),
                    mean_text(gpu.power, watts), peak_text(gpu.power, watts), text_of(gpu.energy, watt_hours),
                    text_of(gpu.temperature_peak, degrees)});
  print_table(rows, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  for (const gpu::Summary& gpu : gpus) {
    if (!gpu::reasons(gpu.held_back).empty())
      print_line(fmt::format("GPU {} was throttled at times: {}", gpu.device.index,
                             fmt::join(gpu::reasons(gpu.held_back), ", ")));
    if (!gpu.error.empty()) print_line(styled(context, Style::kYellow, gpu.error));
  }
  print_line("");
}

}  // namespace image_engine::cli
