#include "cli/analyze_cloud.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "core/json.h"
#include "core/progress.h"
#include "core/text.h"
#include "pipeline/cloud_ask.h"
#include "pipeline/stages.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

using pipeline::CloudEstimate;
using pipeline::CloudReport;
using pipeline::PlannedCall;

// More calls than this need the user's consent.
constexpr std::uint64_t kMostUnasked = 200;

// The time for all at the allowed rate, rounded up.
std::uint64_t minutes(const CloudEstimate& estimate) {
  return (estimate.requests + estimate.requests_per_minute - 1) / estimate.requests_per_minute;
}

// A line from the terminal; no when the run is interrupted meanwhile.
bool says_yes(const std::string& question) {
  std::fputs((question + " [y/N] ").c_str(), stderr);
  std::string line;
  while (!interrupted() && !line.ends_with('\n')) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (::poll(&input, 1, 200) <= 0) continue;
    char c = 0;
    if (::read(STDIN_FILENO, &c, 1) != 1) break;
    line += c;
  }
  const std::string answer = ascii_lower(line);
  return answer == "y\n" || answer == "yes\n";
}

bool names_cloud_stage(const std::vector<std::string>& stages) {
  const std::vector<std::string> cloud = pipeline::stage_names(pipeline::Pass::kServers);
  return std::ranges::any_of(stages, [&](const auto& stage) { return std::ranges::find(cloud, stage) != cloud.end(); });
}

std::uint64_t bytes_of(const CloudReport& report) {
  std::uint64_t bytes = 0;
  for (const PlannedCall& call : report.plan) bytes += call.bytes;
  return bytes;
}

nlohmann::json call_json(const PlannedCall& call) {
  nlohmann::json json = {{"endpoint", call.endpoint}};
  store::put_path(json, call.path);
  if (call.at >= 0) json["at"] = thousandths(call.at);
  if (call.error.message.empty())
    json["bytes"] = call.bytes;
  else
    json["error"] = to_utf8(call.error.message);
  return json;
}

// "5,300 photos and 72 frames".
std::string pictures_text(const CloudEstimate& estimate) {
  if (estimate.frames == 0) return human_count(estimate.pictures, "photo");
  const std::string frames = human_count(estimate.frames, "frame");
  return estimate.pictures == 0 ? frames : human_count(estimate.pictures, "photo") + " and " + frames;
}

}  // namespace

Option add_cloud_flags(Arguments app, CloudFlags& flags, const std::string& pictures) {
  app.add_flag("--nvidia", flags.mode.asked, "Also send " + pictures + " to the configured NVIDIA cloud models");
  const Option dry_run =
      app.add_flag("--dry-run", flags.mode.dry_run, "With --nvidia: list what would be sent, and send nothing");
  app.add_option("--max-requests", flags.max_requests, "Most requests to cloud models in this run").type_name("N");
  app.add_flag("--yes", flags.mode.yes, "Do not ask before many requests are sent");
  app.add_option("--env-file", flags.mode.env_file, "A file with the line NVIDIA_API_KEY=…").type_name("FILE");
  return dry_run;
}

void put_cloud_settings(const CloudFlags& flags, Settings& settings) {
  if (flags.mode.asked)
    for (const char* key : {"nvidia_build.enabled", "video.use_nvidia_build"}) settings.push_back({key, "true"});
  if (!flags.max_requests.empty()) settings.push_back({"nvidia_build.max_requests", flags.max_requests});
}

Status CloudConsent::open(pipeline::AnalyzeOptions& options) {
  const bool is_on = options.config.nvidia_build.enabled;
  if (!is_on && (mode_.dry_run || names_cloud_stage(options.only) || names_cloud_stage(options.redo)))
    return fail(ErrorCode::kInvalidArgument, "no cloud model is enabled: add --nvidia, or set nvidia_build.enabled");
  if (!is_on) return {};
  auto models = pipeline::open_cloud(
      options.config, {.key_files = pipeline::key_files(options.catalogue, mode_.env_file, options.paths),
                       .sends_nothing = mode_.dry_run,
                       .embeds = pipeline::asks_for_vectors(options),
                       .stop = interruption()});
  if (!models && (mode_.asked || mode_.dry_run)) return fail(std::move(models).error());
  if (models)
    options.cloud.models = std::move(*models);
  else
    options.cloud.problem = models.error().message;
  options.cloud.dry_run = mode_.dry_run;
  options.cloud.agree = [this](const CloudEstimate& estimate) { return agree(estimate); };
  return {};
}

bool CloudConsent::agree(const CloudEstimate& estimate) {
  if (estimate.requests == 0) return true;
  const std::string text = estimate_text(estimate);
  const bool is_agreed = mode_.yes || estimate.budget > 0 || estimate.requests <= kMostUnasked;
  if (!is_agreed && is_terminal(STDIN_FILENO) && is_terminal(STDERR_FILENO))
    return says_yes("Cloud: " + text + ". Send them?");
  if (!context_.quiet) std::fputs(("Cloud: " + text + "\n").c_str(), stderr);
  if (is_agreed) return true;
  refusal_ = text + ": this many need --yes, or a budget (--max-requests N)";
  return false;
}

std::string estimate_text(const CloudEstimate& estimate) {
  std::string text =
      fmt::format("{} for {}, about {} min at {}/min", human_count(estimate.requests, "call"), pictures_text(estimate),
                  human_count(minutes(estimate)), human_count(estimate.requests_per_minute));
  if (estimate.budget > 0 && estimate.budget < estimate.requests)
    text += fmt::format("; this run asks at most {}", human_count(estimate.budget, "question"));
  return text;
}

void print_plan(const Context& context, const pipeline::AnalyzeReport& report) {
  const CloudReport cloud = report.cloud.value_or(CloudReport{});
  if (context.json) {
    nlohmann::json calls = nlohmann::json::array();
    for (const PlannedCall& call : cloud.plan) calls.push_back(call_json(call));
    print_json("cloud-plan", {{"calls", std::move(calls)},
                              {"requests", cloud.estimate.requests},
                              {"pictures", cloud.estimate.pictures},
                              {"frames", cloud.estimate.frames},
                              {"bytes", bytes_of(cloud)},
                              {"requests_per_minute", cloud.estimate.requests_per_minute},
                              {"minutes", minutes(cloud.estimate)},
                              {"budget", cloud.estimate.budget},
                              {"held_back", cloud.held_back},
                              {"notes", report.notes}});
    return;
  }
  std::vector<std::vector<std::string>> rows;
  for (const PlannedCall& call : cloud.plan)
    rows.push_back({call.error.message.empty() ? human_bytes(call.bytes) : printable(call.error.message), call.endpoint,
                    printable(call.path) + (call.at >= 0 ? " at " + clock_text(call.at) : "")});
  print_table(rows, {0});
  if (context.quiet) return;
  for (const std::string& note : report.notes) print_line(styled(context, Style::kYellow, note));
  print_line(
      fmt::format("{}, {} of pictures. Nothing was sent", estimate_text(cloud.estimate), human_bytes(bytes_of(cloud))));
}

nlohmann::json cloud_json(const CloudReport& report) {
  return {{"answers", report.answers}, {"at_hand", report.at_hand},       {"failed", report.failed},
          {"left", report.left},       {"held_back", report.held_back},   {"requests", report.requests},
          {"retries", report.retries}, {"sent_bytes", report.sent_bytes}, {"stopped", report.stopped},
          {"seconds", report.seconds}};
}

void print_cloud(const CloudReport& report) {
  if (report.answers + report.requests == 0) return;
  print_line(fmt::format("Cloud: {} ({} at hand), {} ({} retried), {} sent, {}", human_count(report.answers, "answer"),
                         human_count(report.at_hand), human_count(report.requests, "request"),
                         human_count(report.retries), human_bytes(report.sent_bytes), human_duration(report.seconds)));
}

}  // namespace image_engine::cli
