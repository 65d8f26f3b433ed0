#include "infer/canaries.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace image_engine::infer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 5;
constexpr double kRoundSeconds = 0.05;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Repeats real rows: some kernels are faster on zeros.
std::vector<Tensor> repeated(std::span<const Tensor> run, std::int64_t rows) {
  std::vector<Tensor> many;
  for (const Tensor& one : run) {
    Tensor& tensor = many.emplace_back(Tensor{one.type, one.shape, {}});
    if (tensor.shape.empty()) tensor.shape = {1};
    const std::int64_t times = std::max<std::int64_t>(rows / std::max<std::int64_t>(tensor.shape[0], 1), 1);
    tensor.shape[0] *= times;
    for (std::int64_t i = 0; i < times; ++i) tensor.data.insert(tensor.data.end(), one.data.begin(), one.data.end());
  }
  return many;
}

}  // namespace

Result<std::vector<Tensor>> run_canaries(const Session& session, std::span<const Tensor> canaries,
                                         std::span<const std::string> outputs) {
  const std::size_t inputs = session.inputs().size();
  if (canaries.empty() || inputs == 0 || canaries.size() % inputs != 0)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} test inputs do not fill runs of a model with {} inputs", canaries.size(), inputs));
  std::vector<Tensor> results;
  for (std::size_t i = 0; i < canaries.size(); i += inputs) {
    IE_TRY(std::vector<Tensor> made, session.run(canaries.subspan(i, inputs), outputs));
    std::ranges::move(made, std::back_inserter(results));
  }
  return results;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

Result<double> seconds_a_picture(const Session& session, std::span<const Tensor> canaries, std::int64_t rows) {
  const std::vector<Tensor> inputs = repeated(canaries.first(session.inputs().size()), rows);
  IE_TRY(const auto run, session.resident(inputs));
  IE_CHECK(run->compute(3));  // the first may search algorithms, the second record a graph
  const Clock::time_point begin = Clock::now();
  IE_CHECK(run->compute());
  const int times = std::clamp(static_cast<int>(kRoundSeconds / std::max(seconds_since(begin), 1e-6)), 1, 500);
  std::vector<double> seconds;
  for (int round = 0; round < kRounds; ++round) {
    const Clock::time_point start = Clock::now();
    IE_CHECK(run->compute(times));
    seconds.push_back(seconds_since(start) / times / static_cast<double>(inputs.front().shape[0]));
  }
  return median(std::move(seconds));
}

}  // namespace image_engine::infer
