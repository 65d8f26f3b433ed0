#include "infer/choose.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "core/text.h"
#include "infer/agreement.h"
#include "infer/canaries.h"
#include "infer/precision_memory.h"

namespace image_engine::infer {
namespace {

using models::Spec;
using models::Store;
using models::Variant;

constexpr int kWarmUps = 2;
constexpr int kMeasured = 5;

Result<std::unique_ptr<Session>> load(const Spec& spec, const Store& store, const Variant& variant,
                                      const SessionOptions& options) {
  const std::string file = store.variant_path(spec, variant);
  if (file.empty())
    return fail(ErrorCode::kNotFound,
                fmt::format("the model {} is not installed whole: `image-engine models pull {}` installs it", spec.name,
                            spec.name));
  return Session::create(file, options);
}

struct Candidate {
  const Variant* variant = nullptr;
  std::unique_ptr<Session> session;
  Agreement found;
  std::vector<double> seconds;  // of each measured round
};

// In turns, so that what else the machine does meets all of them.
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

// The variant's session when it gives what `reference` did, within its gate.
Result<Candidate> admitted(const Spec& spec, const Store& store, const Variant& variant, const SessionOptions& options,
                           std::span<const Tensor> canaries, std::span<const Tensor> reference) {
  IE_TRY(auto session, load(spec, store, variant, options));
  IE_TRY(const std::vector<Tensor> outputs, run_canaries(*session, canaries, spec.outputs));
  IE_TRY(const Agreement found, agreement(reference, outputs));
  IE_CHECK(check_gate(found, variant.gate));
  return Candidate{&variant, std::move(session), found, {}};
}

std::string why(const Candidate& best, std::span<const Candidate> all, std::span<const std::string> refusals) {
  const Candidate& first = all.front();
  std::vector<std::string> parts;
  const auto ratio = [&](const Candidate& candidate) { return median(first.seconds) / median(candidate.seconds); };
  if (&best != &first)
    parts.push_back(fmt::format("{:.1f} times as fast as {}, cosine {:.4f}", ratio(best), first.variant->precision,
                                best.found.cosine));
  for (const Candidate& other : all.subspan(1))
    if (&other != &best)
      parts.push_back(fmt::format("{} {:.1f} times as fast", other.variant->precision, ratio(other)));
  parts.insert(parts.end(), refusals.begin(), refusals.end());
  return fmt::format("{}: {}", best.variant->precision, fmt::join(parts, "; "));
}

Result<Chosen> choose_by_measuring(const Spec& spec, const Store& store, const SessionOptions& options,
                                   const MakeCanaries& make_canaries) {
  std::vector<Candidate> candidates(1);
  candidates[0].variant = &spec.variants[0];
  IE_TRY(candidates[0].session, load(spec, store, spec.variants[0], options));
  IE_TRY(const std::vector<Tensor> canaries, make_canaries(*candidates[0].session));
  IE_TRY(const std::vector<Tensor> reference, run_canaries(*candidates[0].session, canaries, spec.outputs));
  std::vector<std::string> refusals;
  for (const Variant& variant : std::span(spec.variants).subspan(1)) {
    auto candidate = admitted(spec, store, variant, options, canaries, reference);
    if (candidate)
      candidates.push_back(std::move(*candidate));
    else
      refusals.push_back(fmt::format("{} refused ({})", variant.precision, candidate.error().message));
  }
  if (candidates.size() > 1) IE_CHECK(measure(candidates, canaries, spec.outputs));
  const auto time_of = [](const Candidate& c) { return c.seconds.empty() ? 0 : median(c.seconds); };
  Candidate& best = *std::ranges::min_element(candidates, {}, time_of);
  std::string reason = why(best, candidates, refusals);
  return Chosen{std::move(best.session), best.variant->precision, std::move(reason)};
}

}  // namespace

Result<Chosen> choose_precision(const Spec& spec, const Store& store, const SessionOptions& options,
                                const MakeCanaries& canaries, const std::string& memory_folder) {
  if (spec.variants.empty())
    return fail(ErrorCode::kInvalidArgument, fmt::format("the model {} has no variant", spec.name));
  if (spec.variants.size() == 1) {
    IE_TRY(auto session, load(spec, store, spec.variants[0], options));
    const std::string& precision = spec.variants[0].precision;
    return Chosen{std::move(session), precision, precision + ": there is no other"};
  }
  IE_TRY(const std::string runtime, runtime_version());
  const std::string key = precision_key(spec, store, options, runtime);
  const PrecisionMemory memory(memory_folder);
  if (const auto known = memory.find(key)) {
    const auto variant = std::ranges::find(spec.variants, known->precision, &Variant::precision);
    if (variant != spec.variants.end())
      if (auto session = load(spec, store, *variant, options))
        return Chosen{std::move(*session), known->precision, known->reason};
  }
  IE_TRY(Chosen chosen, choose_by_measuring(spec, store, options, canaries));
  if (const Status kept = memory.keep(key, spec.name, {chosen.precision, chosen.reason}); !kept)
    spdlog::warn("which precision of {} is best will be measured again: {}", spec.name,
                 printable(kept.error().message));
  return chosen;
}

}  // namespace image_engine::infer
