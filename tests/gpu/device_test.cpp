// The real driver, against nvidia-smi. Run by `ctest -L gpu` alone; skipped where there is no GPU.
#include <gmock/gmock.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <thread>

#include "gpu/monitor.h"

namespace image_engine::gpu {
namespace {

// The answer's first line, cut at ", "; empty without nvidia-smi.
std::vector<std::string> smi(const std::string& fields) {
  const std::string command = "nvidia-smi --id=0 --format=csv,noheader,nounits --query-gpu=" + fields + " 2>/dev/null";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::array<char, 1024> line{};
  if (!pipe || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) return {};
  std::vector<std::string> parts;
  std::istringstream text(line.data());
  for (std::string part; std::getline(text >> std::ws, part, ',');) parts.push_back(part.substr(0, part.find('\n')));
  return parts;
}

TEST(DeviceTest, TheDriverTellsWhatItsOwnProgramPrints) {
  ::unsetenv("IMAGE_ENGINE_NVML");
  Result<Nvml> nvml = Nvml::open();
  if (!nvml) GTEST_SKIP() << nvml.error().message;
  const std::vector<std::string> expected =
      smi("name,uuid,driver_version,compute_cap,memory.total,enforced.power.limit,memory.used");
  if (expected.size() != 7) GTEST_SKIP() << "no nvidia-smi to compare with";
  const Device& device = nvml->devices().front();
  EXPECT_EQ(device.name, expected[0]);
  EXPECT_EQ(device.uuid, expected[1]);
  EXPECT_EQ(nvml->driver().version, expected[2]);
  EXPECT_EQ(device.compute_capability.value().text(), expected[3]);
  EXPECT_NEAR(static_cast<double>(device.memory.value()) / (1 << 20), std::stod(expected[4]), 1);
  EXPECT_GE(nvml->driver().cuda.value().major, 11);

  const Monitor monitor(std::move(*nvml), std::chrono::milliseconds(20));
  Summary gpu = monitor.summaries().front();
  while (gpu.samples < 10 && gpu.error.empty()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    gpu = monitor.summaries().front();
  }
  EXPECT_EQ(gpu.error, "");
  EXPECT_NEAR(gpu.power_limit.value(), std::stod(expected[5]), 1);
  EXPECT_LE(gpu.utilisation.value().peak, 1);
  EXPECT_NEAR(static_cast<double>(gpu.memory_before.value()) / (1 << 20), std::stod(expected[6]), 100);
  EXPECT_LE(gpu.memory.value().peak, static_cast<double>(*device.memory));
  EXPECT_GT(gpu.power.value().mean, 1);
  EXPECT_LT(gpu.power->peak, 2 * *gpu.power_limit);
  EXPECT_GT(gpu.energy.value(), 0);
  EXPECT_GT(gpu.temperature_peak.value(), 10);
  EXPECT_LT(*gpu.temperature_peak, 120);
  std::printf("%s: %.0f %%, %.0f MB, %.1f W of %.0f W, %.0f C, held back 0x%llx\n", device.name.c_str(),
              gpu.utilisation->mean * 100, gpu.memory->mean / 1e6, gpu.power->mean, *gpu.power_limit,
              *gpu.temperature_peak, static_cast<unsigned long long>(gpu.held_back));
}

}  // namespace
}  // namespace image_engine::gpu
