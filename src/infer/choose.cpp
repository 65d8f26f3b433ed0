#include "infer/choose.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/file.h"
#include "core/log.h"
#include "core/text.h"
#include "infer/canaries.h"
#include "infer/choose_device.h"
#include "infer/precision_memory.h"
#include "models/calibrated.h"
#include "models/tasks.h"

namespace image_engine::infer {
namespace {

using models::Spec;
using models::Store;
using models::Variant;

constexpr int kWarmUps = 2;
constexpr int kMeasured = 5;

// A graph that can be chosen.
struct Graph {
  std::string name;  // for people, and in the memory
  std::string precision;
  std::string file;  // "": not installed
  models::Gate gate;
  bool calibrated = false;
};

Graph calibrated_graph(const Spec& spec, std::string file) {
  return {"int8 (calibrated)", "int8", std::move(file), gate_of(spec, "int8"), true};
}

std::vector<Graph> graphs_of(const Spec& spec, const Store& store, const std::string& calibrated,
                             std::string_view precision) {
  std::vector<Graph> graphs;
  for (const Variant& variant : spec.variants)
    graphs.push_back({variant.precision, variant.precision, store.variant_path(spec, variant), variant.gate, false});
  if (!calibrated.empty()) graphs.push_back(calibrated_graph(spec, calibrated));
  if (precision != "auto") std::erase_if(graphs, [&](const Graph& graph) { return graph.precision != precision; });
  return graphs;
}

Result<std::unique_ptr<Session>> load(const Spec& spec, const Graph& graph, const SessionOptions& options) {
  if (graph.file.empty())
    return fail(ErrorCode::kNotFound,
                fmt::format("the model {} is not installed whole: `image-engine models pull {}` installs it", spec.name,
                            spec.name));
  return Session::create(graph.file, options);
}

struct Candidate {
  const Graph* graph = nullptr;
  std::unique_ptr<Session> session;
  Agreement found;
  std::vector<double> seconds;  // of each measured round
};

// In turns, so that other load on the machine affects all of them.
Status measure(std::span<Candidate> candidates, std::span<const Tensor> canaries,
               std::span<const std::string> outputs) {
  using Clock = std::chrono::steady_clock;
  for (int round = 0; round < kWarmUps + kMeasured; ++round)
    for (Candidate& candidate : candidates) {
      const auto start = Clock::now();
      IE_CHECK(run_canaries(*candidate.session, canaries, outputs));
      const std::chrono::duration<double> taken = Clock::now() - start;
      if (round >= kWarmUps) candidate.seconds.push_back(taken.count());
    }
  return {};
}

// The graph's session if its outputs equal `reference` within its gate.
Result<Candidate> admitted(const Spec& spec, const Graph& graph, const SessionOptions& options,
                           std::span<const Tensor> canaries, std::span<const Tensor> reference) {
  IE_TRY(auto session, load(spec, graph, options));
  IE_TRY(const std::vector<Tensor> outputs, run_canaries(*session, canaries, spec.outputs));
  IE_TRY(const Agreement found, agreement(reference, outputs));
  IE_CHECK(check_gate(found, graph.gate));
  return Candidate{&graph, std::move(session), found, {}};
}

// Speed relative to the first.
double speed_of(const Candidate& candidate, const Candidate& first) {
  return median(first.seconds) / median(candidate.seconds);
}

std::string why(const Candidate& best, std::span<const Candidate> all, std::span<const std::string> refusals) {
  const Candidate& first = all.front();
  std::vector<std::string> parts;
  if (&best != &first)
    parts.push_back(fmt::format("{:.1f} times as fast as {}, cosine {:.4f}", speed_of(best, first), first.graph->name,
                                best.found.cosine));
  for (const Candidate& other : all.subspan(1))
    if (&other != &best)
      parts.push_back(fmt::format("{} {:.1f} times as fast", other.graph->name, speed_of(other, first)));
  parts.insert(parts.end(), refusals.begin(), refusals.end());
  return fmt::format("{}: {}", best.graph->name, fmt::join(parts, "; "));
}

// The usable graphs, measured, the first one first; and why others are not usable.
struct Contest {
  std::vector<Candidate> candidates;
  std::vector<std::string> refusals;
  Error last_refusal;
};

Result<Contest> measured(const Spec& spec, std::span<const Graph> graphs, const SessionOptions& options,
                         const MakeCanaries& make_canaries) {
  Contest contest;
  Candidate& first = contest.candidates.emplace_back();
  first.graph = &graphs.front();
  IE_TRY(first.session, load(spec, graphs.front(), options));
  IE_TRY(const std::vector<Tensor> canaries, make_canaries(*first.session));
  IE_TRY(const std::vector<Tensor> reference, run_canaries(*first.session, canaries, spec.outputs));
  for (const Graph& graph : graphs.subspan(1)) {
    auto candidate = admitted(spec, graph, options, canaries, reference);
    if (candidate) {
      contest.candidates.push_back(std::move(*candidate));
    } else {
      contest.refusals.push_back(fmt::format("{} refused ({})", graph.name, candidate.error().message));
      contest.last_refusal = candidate.error();
    }
  }
  if (contest.candidates.size() > 1) IE_CHECK(measure(contest.candidates, canaries, spec.outputs));
  return contest;
}

// The best, and its name.
Result<std::pair<Chosen, std::string>> choose_by_measuring(const Spec& spec, std::span<const Graph> graphs,
                                                           const SessionOptions& options,
                                                           const MakeCanaries& make_canaries) {
  IE_TRY(Contest contest, measured(spec, graphs, options, make_canaries));
  const auto time_of = [](const Candidate& c) { return c.seconds.empty() ? 0 : median(c.seconds); };
  Candidate& best = *std::ranges::min_element(contest.candidates, {}, time_of);
  std::string reason = why(best, contest.candidates, contest.refusals);
  return std::pair(Chosen{std::move(best.session), best.graph->precision, std::move(reason), 0, best.graph->calibrated},
                   best.graph->name);
}

// Changes when the file changes.
std::string stamp_of(const std::string& file) {
  struct stat info {};
  if (file.empty() || ::stat(file.c_str(), &info) != 0) return "";
  return fmt::format("\n{} {} {} {}", file, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

}  // namespace

std::string graphs_folder(const std::string& memory_folder) { return join_path(memory_folder, "graphs"); }

models::Gate gate_of(const Spec& spec, std::string_view precision) {
  const auto variant = std::ranges::find(spec.variants, precision, &Variant::precision);
  if (variant != spec.variants.end() && variant != spec.variants.begin()) return variant->gate;
  return models::default_gate(spec.task, precision);
}

Result<Chosen> choose_precision(const Spec& spec, const Store& store, const SessionOptions& options,
                                const MakeCanaries& canaries, const std::string& memory_folder,
                                std::string_view precision) {
  if (spec.variants.empty())
    return fail(ErrorCode::kInvalidArgument, fmt::format("the model {} has no variant", spec.name));
  const std::string calibrated =
      models::find_calibrated(store.variant_path(spec, spec.variants.front()), graphs_folder(memory_folder));
  const std::vector<Graph> graphs = graphs_of(spec, store, calibrated, precision);
  if (graphs.empty())
    return fail(ErrorCode::kUnsupported,
                fmt::format("the model {} has no {} for the CPU", spec.name, printable(precision)));
  if (graphs.size() == 1) {
    IE_TRY(auto session, load(spec, graphs.front(), options));
    const Graph& only = graphs.front();
    return Chosen{std::move(session), only.precision, only.name + ": it is the only one", 0, only.calibrated};
  }
  IE_TRY(const std::string runtime, runtime_version());
  const std::string wanted = precision == "auto" ? "" : fmt::format("\n{}", precision);
  const std::string key = precision_key(spec, store, options, runtime + stamp_of(calibrated) + wanted);
  const PrecisionMemory memory(memory_folder);
  if (const auto known = memory.find(key)) {
    const auto graph = std::ranges::find(graphs, known->precision, &Graph::name);
    if (graph != graphs.end())
      if (auto session = load(spec, *graph, options))
        return Chosen{std::move(*session), graph->precision, known->reason, 0, graph->calibrated};
  }
  IE_TRY(auto best, choose_by_measuring(spec, graphs, options, canaries));
  auto& [chosen, name] = best;
  Remembered found;
  found.precision = name;
  found.reason = chosen.reason;
  if (const Status kept = memory.keep(key, spec.name, found); !kept)
    log_warning("the best precision of {} will be measured again: {}", spec.name, printable(kept.error().message));
  return std::move(chosen);
}

Result<Compared> compare_calibrated(const Spec& spec, const Store& store, const SessionOptions& options,
                                    const MakeCanaries& canaries, const std::string& file) {
  if (spec.variants.empty())
    return fail(ErrorCode::kInvalidArgument, fmt::format("the model {} has no variant", spec.name));
  const Variant& first = spec.variants.front();
  const Graph graphs[] = {{first.precision, first.precision, store.variant_path(spec, first), {}, false},
                          calibrated_graph(spec, file)};
  IE_TRY(const Contest contest, measured(spec, graphs, options, canaries));
  if (!contest.refusals.empty()) return fail(contest.last_refusal);
  const Candidate& made = contest.candidates.back();
  return Compared{made.found, speed_of(made, contest.candidates.front())};
}

}  // namespace image_engine::infer
