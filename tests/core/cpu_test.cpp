#include "core/cpu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "core/file.h"
#include "tests/support/ok.h"

namespace image_engine {
namespace {

// The kernel's list: what the CPU and the operating system offer.
std::set<std::string> kernel_flags() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    return {std::istream_iterator<std::string>(words), {}};
  }
  return {};
}

TEST(Cpu, OffersWhatTheKernelLists) {
  const std::set<std::string> flags = kernel_flags();
  if (flags.empty()) GTEST_SKIP() << "/proc/cpuinfo has no flags here";
  const auto has = [&](std::initializer_list<const char*> names) {
    return std::ranges::all_of(names, [&](const char* name) { return flags.contains(name); });
  };
  EXPECT_EQ(cpu_offers() >= CpuLevel::kAvx2, has({"avx2", "fma", "f16c"}));
  EXPECT_EQ(cpu_offers() >= CpuLevel::kAvx512, has({"avx2", "fma", "avx512f", "avx512bw", "avx512_vnni"}));
  EXPECT_EQ(cpu_has_vnni(), has({"avx512_vnni"}) || has({"avx_vnni"}));
}

TEST(Cpu, UsesNoMoreThanTheLimit) {
  const std::string value = environment(kCpuVariable);  // ctest runs this at each level
  const Result<CpuLevel> limit = parse_cpu_limit(value);
  ASSERT_OK(limit);
  for (const CpuLevel level : kCpuLevels)
    EXPECT_EQ(cpu_uses(level), level <= *limit && level <= cpu_offers()) << cpu_level_name(level);
  EXPECT_TRUE(cpu_uses(CpuLevel::kBaseline));
  if (*limit == CpuLevel::kBaseline) {
    EXPECT_FALSE(cpu_uses_popcnt());
    EXPECT_FALSE(cpu_uses_sha());
  }
  EXPECT_TRUE(check_cpu_limit());
}

TEST(Cpu, UsesTheShaExtensionsThatTheKernelLists) {
  const std::set<std::string> flags = kernel_flags();
  const Result<CpuLevel> limit = parse_cpu_limit(environment(kCpuVariable));
  if (flags.empty() || !limit || *limit == CpuLevel::kBaseline) GTEST_SKIP() << "no flags here, or none are wanted";
  EXPECT_EQ(cpu_uses_sha(), flags.contains("sha_ni") && flags.contains("sse4_1"));
}

TEST(Cpu, LimitIsALevelOrNothing) {
  EXPECT_EQ(parse_cpu_limit("").value(), CpuLevel::kAvx512);
  EXPECT_EQ(parse_cpu_limit("baseline").value(), CpuLevel::kBaseline);
  EXPECT_EQ(parse_cpu_limit("avx2").value(), CpuLevel::kAvx2);
  EXPECT_EQ(parse_cpu_limit("avx512").value(), CpuLevel::kAvx512);
  for (const char* wrong : {"AVX2", "avx", "sse4", "avx2 "}) {
    const auto limit = parse_cpu_limit(wrong);
    ASSERT_FALSE(limit) << wrong;
    EXPECT_EQ(limit.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(limit.error().message, testing::HasSubstr("baseline, avx2, avx512"));
  }
}

}  // namespace
}  // namespace image_engine
