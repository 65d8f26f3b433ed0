#include "pipeline/trace.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/json.h"
#include "core/temporary_folder.h"

namespace image_engine::pipeline {
namespace {

using gpu::LaneEvent;
using gpu::LaneWork;
using std::chrono::milliseconds;

StepReport step_with(std::string_view name, int threads, double share) {
  StepReport step;
  step.name = name;
  step.threads = threads;
  step.share = share;
  return step;
}

TEST(BottleneckTest, IsTheStepThatIsBusiest) {
  const std::vector<StepReport> steps = {step_with("hash", 4, 0.2), step_with("decode", 4, 0.91),
                                         step_with("write", 1, 0.4)};
  const auto found = bottleneck(steps, 0.9);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "decode");
  EXPECT_EQ(found->share, 0.91);
  EXPECT_NE(found->text.find("its 4 threads were busy with it 91 % of the time"), std::string::npos) << found->text;
  EXPECT_FALSE(bottleneck({}, 1));
}

TEST(BottleneckTest, EachStepHasARemedy) {
  for (int i = 0; i < static_cast<int>(Step::kCount); ++i) {
    const std::vector<StepReport> steps = {step_with(step_name(static_cast<Step>(i)), 1, 0.5)};
    const auto found = bottleneck(steps, -1);
    ASSERT_TRUE(found);
    EXPECT_NE(found->text.find("help"), std::string::npos) << found->text;
  }
}

TEST(BottleneckTest, IsTheDiskWhereReadingWaitsForIt) {
  const std::vector<StepReport> steps = {step_with("hash", 4, 0.9), step_with("decode", 4, 0.3)};
  EXPECT_EQ(bottleneck(steps, 0.8)->name, "disk");
  EXPECT_EQ(bottleneck(steps, 0.1)->name, "hash");
  EXPECT_EQ(bottleneck(steps, -1)->name, "hash");
}

TEST(TraceTest, LanesHaveRowsWithBusyWaitAndIdle) {
  const auto folder = TemporaryFolder::create();
  ASSERT_TRUE(folder);
  const Trace trace(true);
  const auto begin = Trace::Clock::now();
  const auto event = [&](const char* lane, LaneWork work, int from, int to) {
    return LaneEvent{lane, work, begin + milliseconds(from), milliseconds(to - from)};
  };
  // Two threads wait for the lane at the same time. A name may hold quotes.
  const std::vector<LaneEvent> lanes = {
      event("cuda:0 \"a\" #1", LaneWork::kBusy, 10, 30), event("cuda:0 \"a\" #1", LaneWork::kWait, 12, 30),
      event("cuda:0 \"a\" #1", LaneWork::kWait, 14, 40), event("cuda:0 \"a\" #1", LaneWork::kBusy, 40, 45),
      event("cuda:0 b #1", LaneWork::kBusy, 5, 6)};
  const std::string path = join_path(folder->path(), "trace.json");
  ASSERT_TRUE(trace.write(path, lanes));
  const auto text = read_file(path);
  ASSERT_TRUE(text);
  const nlohmann::json document = parse_json(*text);
  ASSERT_FALSE(document.is_discarded()) << *text;
  std::map<int, std::string> rows;
  std::map<std::string, std::vector<std::pair<std::string, double>>> lengths;  // milliseconds, by row
  for (const nlohmann::json& one : document["traceEvents"])
    if (one["ph"] == "M") rows[one["tid"]] = one["args"]["name"];
  for (const nlohmann::json& one : document["traceEvents"])
    if (one["ph"] == "X") lengths[rows.at(one["tid"])].emplace_back(one["name"], one["dur"].get<double>() / 1000);
  using Row = std::vector<std::pair<std::string, double>>;
  EXPECT_EQ(lengths["cuda:0 \"a\" #1"], (Row{{"busy", 20}, {"idle", 10}, {"busy", 5}}));
  EXPECT_EQ(lengths["cuda:0 \"a\" #1: waiting"], (Row{{"wait", 18}, {"wait", 26}}));
  EXPECT_EQ(rows.size(), 4U) << "a row of waiting for each of the two threads";
  EXPECT_EQ(lengths["cuda:0 b #1"], (Row{{"busy", 1}}));
}

}  // namespace
}  // namespace image_engine::pipeline
