#include "cli/nvidia.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "nvidia/answer_store.h"
#include "nvidia/sent_log.h"

namespace image_engine::cli {
namespace {

using nlohmann::json;
using nvidia::AnswerStore;

constexpr char kNvidiaExamples[] = R"(
Examples:
  image-engine nvidia check
  image-engine nvidia describe IMG_0042.jpg --prompt 'What is written on the sign?'
  image-engine nvidia detect shelf.jpg --confidence-threshold 0.5
  image-engine nvidia cache clear --older-than 24
  image-engine nvidia log --limit 50

describe, detect, benchmark and check --call send pictures: small, without their metadata.
How to get a key, and what is sent: docs/nvidia.md.)";

constexpr char kCacheExamples[] = R"(
Examples:
  image-engine nvidia cache
  image-engine nvidia cache clear
  image-engine nvidia cache clear --older-than 24 --json)";

constexpr char kLogExamples[] = R"(
Examples:
  image-engine nvidia log
  image-engine nvidia log --limit 1000 --json | jq '.sent[].bytes')";

constexpr double kLongestAge = 24.0 * 365 * 100;  // hours
constexpr off_t kMostLogBytes = off_t{16} << 20;  // of the end of the log that are read
constexpr std::size_t kMostLines = 100'000;

struct NvidiaFlags {
  double older_than = 0;  // hours
  std::size_t limit = 20;
};

Result<int> cache(const Context& context) {
  const CloudCachingConfig& config = context.config.nvidia_build.caching;
  IE_TRY(const AnswerStore::Cleared there, AnswerStore::count(config));
  const std::string folder = AnswerStore::folder(config);
  const std::uint64_t waiting = AnswerStore::waiting();
  if (context.json) {
    print_json("nvidia-cache", {{"folder", to_utf8(folder)},
                                {"enabled", config.enabled},
                                {"answers", there.answers},
                                {"bytes", there.bytes},
                                {"ttl_hours", config.ttl_hours},
                                {"max_mb", config.max_mb},
                                {"waiting", waiting}});
    return kDone;
  }
  print_table({{"cache", printable(folder) + (config.enabled ? "" : " (caching is off)")},
               {"answers", fmt::format("{}, {}", human_count(there.answers), human_bytes(there.bytes))},
               {"kept", fmt::format("{} hours, at most {} MiB", config.ttl_hours, config.max_mb)},
               {"journal", fmt::format("{} not in the catalogue yet", human_count(waiting, "answer"))}});
  return kDone;
}

Result<int> clear(const Context& context, const NvidiaFlags& flags) {
  const auto age = std::chrono::seconds(std::llround(flags.older_than * 3600));
  IE_TRY(const AnswerStore::Cleared gone, AnswerStore::clear(context.config.nvidia_build.caching, age));
  if (context.json)
    print_json("nvidia-cache-clear", {{"answers", gone.answers}, {"bytes", gone.bytes}});
  else if (!context.quiet)
    print_line(fmt::format("Removed {}, {}", human_count(gone.answers, "answer"), human_bytes(gone.bytes)));
  return kDone;
}

// The end of the log, in whole lines; empty if nothing was ever sent.
Result<std::string> end_of_log(const std::string& path) {
  const Result<UniqueFd> file = open_regular(path);
  if (!file && file.error().code == ErrorCode::kNotFound) return std::string();
  if (!file) return fail(file.error().code, printable(path) + ": " + file.error().message);
  struct stat info {};
  if (::fstat(file->get(), &info) != 0) return fail(errno_error("cannot read " + printable(path)));
  const off_t start = std::max<off_t>(info.st_size - kMostLogBytes, 0);
  std::string text(static_cast<std::size_t>(info.st_size - start), '\0');
  std::size_t read = 0;
  while (read < text.size()) {
    const ssize_t count =
        ::pread(file->get(), text.data() + read, text.size() - read, start + static_cast<off_t>(read));
    if (count < 0) return fail(errno_error("cannot read " + printable(path)));
    if (count == 0) break;
    read += static_cast<std::size_t>(count);
  }
  text.resize(read);
  if (start > 0) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
  return text;
}

// A line of the log; null for one that is damaged.
json entry_of(std::string_view line) {
  const json entry = parse_json(line);
  json sent;
  for (const char* name : {"time", "host", "endpoint", "about"}) {
    if (!entry.is_object() || !entry.contains(name) || !entry[name].is_string()) return nullptr;
    sent[name] = entry[name];
  }
  if (!entry.contains("bytes") || !entry["bytes"].is_number_unsigned()) return nullptr;
  sent["bytes"] = entry["bytes"];
  sent["status"] = entry.contains("status") && entry["status"].is_number_unsigned() ? entry["status"] : json();
  return sent;
}

std::vector<json> last_entries(std::string_view text, std::size_t limit) {
  std::vector<json> entries;
  while (!text.empty() && entries.size() < limit) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    const std::size_t start = text.rfind('\n') + 1;  // npos + 1 is 0
    if (json entry = entry_of(text.substr(start)); !entry.is_null()) entries.push_back(std::move(entry));
    text = text.substr(0, start);
  }
  std::ranges::reverse(entries);
  return entries;
}

// 0: it did not reach the server.
std::string status_text(const json& status) {
  if (status.is_null()) return "no answer";
  return status == 0 ? "not sent" : json_text(status);
}

Result<int> show_log(const Context& context, const NvidiaFlags& flags) {
  const std::string path = nvidia::sent_log_path();
  IE_TRY(const std::string text, end_of_log(path));
  const std::vector<json> entries = last_entries(text, flags.limit);
  if (context.json) {
    print_json("nvidia-log", {{"file", to_utf8(path)}, {"sent", entries}});
    return kDone;
  }
  if (entries.empty()) {
    print_line("nothing was sent");
    return kDone;
  }
  std::vector<std::vector<std::string>> rows = {{"time", "status", "bytes", "server", "endpoint", "about"}};
  const auto cell = [](const json& entry, const char* name) { return printable(entry[name].get<std::string>()); };
  for (const json& entry : entries)
    rows.push_back({cell(entry, "time"), status_text(entry["status"]), human_count(entry["bytes"].get<std::uint64_t>()),
                    cell(entry, "host"), cell(entry, "endpoint"), cell(entry, "about")});
  print_table(rows, {2});
  return kDone;
}

}  // namespace

Action setup_nvidia(Arguments app, Settings& settings) {
  auto flags = std::make_shared<NvidiaFlags>();
  app.require_subcommand();
  app.footer(kNvidiaExamples);
  std::vector<std::pair<Arguments, Action>> actions;
  const auto add = [&](const char* name, const char* summary) {
    Arguments sub = app.add_subcommand(name, summary);
    return sub;
  };
  Arguments check = add("check", "Check the cloud models: configuration, key, servers, rate");
  actions.emplace_back(check, setup_nvidia_check(check));
  Arguments describe = add("describe", "Describe one picture");
  actions.emplace_back(describe, setup_nvidia_describe(describe));
  Arguments detect = add("detect", "Find products in one picture");
  actions.emplace_back(detect, setup_nvidia_detect(detect, settings));
  Arguments benchmark = add("benchmark", "Compare a cloud model's vectors with local ones: time, agreement, cost");
  actions.emplace_back(benchmark, setup_nvidia_benchmark(benchmark));

  Arguments cached = add("cache", "Stored answers: number and size");
  cached.footer(kCacheExamples);
  Arguments cleared = cached.add_subcommand("clear", "Remove them; answers not yet in the catalogue stay");
  cleared.footer(kCacheExamples);
  cleared.add_option("--older-than", flags->older_than, "Only answers older than this, in hours")
      .type_name("HOURS")
      .range(0.0, kLongestAge);
  actions.emplace_back(cached,
                       [=](Context& context) { return cleared.parsed() ? clear(context, *flags) : cache(context); });
  Arguments logged = add("log", "Log of sent requests: time, server, size");
  logged.footer(kLogExamples);
  logged.add_option("--limit", flags->limit, "The last N")
      .type_name("N")
      .range(std::size_t{1}, kMostLines)
      .show_default();
  actions.emplace_back(logged, [=](Context& context) { return show_log(context, *flags); });

  return [actions](Context& context) -> Result<int> {
    const auto chosen = std::ranges::find_if(actions, [](const auto& one) { return one.first.parsed(); });
    return chosen->second(context);
  };
}

}  // namespace image_engine::cli
