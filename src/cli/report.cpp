#include "cli/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "cli/output.h"
#include "core/text.h"

namespace image_engine::cli {
namespace {

using pipeline::AnalyzeReport;
using pipeline::PhaseReport;

// The library and times to beat: 5,372 photos with PyTorch on an RTX 2080 Ti.
constexpr double kReferencePhotos = 5372;
struct Reference {
  std::string_view phase;
  const char* time;
};
constexpr Reference kReferences[] = {{"metadata", "30 s"}, {"content", "15 min"}, {"ml", "20 min"}};
constexpr char kNone[] = "–";
constexpr double kShown = 0.0005;  // seconds: less is printed as 0 ms

std::string rate_text(double value) {
  return value >= 100 ? fmt::format("{:.0f}/s", value) : fmt::format("{:.1f}/s", value);
}

// Of the CPU time that the cores could have given meanwhile; more where a clock is coarse.
double busy_share(double cpu_seconds, double seconds, unsigned cores) {
  return seconds > 0 ? std::min(1.0, cpu_seconds / (seconds * cores)) : 0;
}

std::string busy_text(const char* what, std::uint64_t count, double share) {
  return fmt::format("{} {:.0f} % busy", human_count(count, what), share * 100);
}

nlohmann::json phase_json(const PhaseReport& phase, unsigned cores) {
  return {{"files", phase.files},
          {"seconds", phase.seconds},
          {"files_per_second", phase.rate()},
          {"cpu_seconds", phase.cpu_seconds},
          {"cpu_share", busy_share(phase.cpu_seconds, phase.seconds, cores)}};
}

std::vector<std::string> phase_row(const PhaseReport& phase, const AnalyzeReport& report, const char* reference) {
  const bool has_files = phase.files > 0 && phase.seconds > 0;
  return {phase.name,
          has_files ? human_count(phase.files) : kNone,
          human_duration(phase.seconds),
          has_files ? rate_text(phase.rate()) : kNone,
          busy_text("core", report.cores, busy_share(phase.cpu_seconds, phase.seconds, report.cores)),
          reference == kNone || phase.files < pipeline::kLeastForEstimate || phase.seconds <= 0
              ? kNone
              : human_duration(kReferencePhotos / phase.rate()),
          reference};
}

const char* reference_of(const PhaseReport& phase) {
  const auto* const row = std::ranges::find(kReferences, phase.name, &Reference::phase);
  return row == std::end(kReferences) ? kNone : row->time;
}

nlohmann::json patterns_json(const std::vector<scan::PatternCount>& patterns) {
  nlohmann::json list = nlohmann::json::array();
  for (const scan::PatternCount& count : patterns)
    list.push_back({{"source", to_utf8(count.source)},
                    {"pattern", to_utf8(count.pattern)},
                    {"files", count.files},
                    {"folders", count.folders}});
  return list;
}

std::string files_and_folders(std::uint64_t files, std::uint64_t folders) {
  const auto counted = [](std::uint64_t count, const char* what) { return count == 0 ? "" : human_count(count, what); };
  return fmt::format("{}{}{}", counted(files, "file"), files > 0 && folders > 0 ? " and " : "",
                     counted(folders, "folder"));
}

void print_left_out(const scan::ScanCounts& scan) {
  if (scan.excluded + scan.excluded_folders == 0) return;
  print_line(fmt::format("  {} excluded by patterns{}", files_and_folders(scan.excluded, scan.excluded_folders),
                         scan.patterns.empty() ? " (--explain-ignored lists them)" : ":"));
  for (const scan::PatternCount& count : scan.patterns)
    print_line(fmt::format(
        "    {}: {}", files_and_folders(count.files, count.folders),
        count.pattern.empty() ? "no --include matches" : printable(count.pattern + " (" + count.source + ")")));
}

// What ran on GPUs: a lane that is idle waits for pictures; one that threads wait for is the limit.
void print_gpu_lanes(const AnalyzeReport& report) {
  if (report.gpu_lanes.empty()) return;
  std::vector<std::vector<std::string>> rows = {{"GPU lane", "runs", "busy", "idle", "waited for"}};
  for (const gpu::LaneTotals& lane : report.gpu_lanes)
    rows.push_back({lane.lane, human_count(lane.runs), human_duration(lane.busy), human_duration(lane.idle),
                    human_duration(lane.wait)});
  print_table(rows, {1, 2, 3, 4});
}

void print_decoding(const AnalyzeReport& report) {
  const pipeline::DecodingReport all = report.decoding();
  if (all.hardware + all.hybrid == 0) return;
  std::map<std::string, std::uint64_t> by_gpu;
  for (const pipeline::DecodingReport& one : report.decoders) by_gpu[one.device] += one.hardware + one.hybrid;
  std::vector<std::string> each;
  for (const auto& [device, photos] : by_gpu) each.push_back(fmt::format("{} by {}", human_count(photos), device));
  print_line(fmt::format("Decoded on the GPU: {}, {} of them by its JPEG engine{}",
                         human_count(all.hardware + all.hybrid, "photo"), human_count(all.hardware),
                         each.size() > 1 ? fmt::format(" ({})", fmt::join(each, ", ")) : ""));
}

nlohmann::json decoding_json(const AnalyzeReport& report) {
  const auto counts = [](const pipeline::DecodingReport& one) {
    return nlohmann::json{{"hardware", one.hardware}, {"hybrid", one.hybrid}, {"deaths", one.deaths}};
  };
  nlohmann::json all = counts(report.decoding());
  all["decoders"] = nlohmann::json::array();
  for (const pipeline::DecodingReport& one : report.decoders) {
    all["decoders"].push_back(counts(one));
    all["decoders"].back()["device"] = one.device;
  }
  return all;
}

}  // namespace

// Those that took a millisecond or have files, and all together.
void print_phases(const AnalyzeReport& report) {
  std::vector<std::vector<std::string>> rows = {
      {"phase", "files", "time", "rate", "CPU", "5,372 take", "PyTorch took"}};
  PhaseReport whole{"all"};
  for (const PhaseReport* phase : report.phases()) {
    whole.seconds += phase->seconds;
    whole.cpu_seconds += phase->cpu_seconds;
    if (phase->seconds >= kShown || phase->files > 0) rows.push_back(phase_row(*phase, report, reference_of(*phase)));
  }
  rows.push_back(phase_row(whole, report, kNone));
  print_table(rows, {1, 2, 3, 4, 5, 6});
}

// The time of each step, and which to make faster first.
void print_steps(const AnalyzeReport& report) {
  if (report.steps.empty()) return;
  std::vector<std::vector<std::string>> rows = {{"step", "done", "busy", "waiting", "rate", "threads"}};
  for (const pipeline::StepReport& step : report.steps)
    rows.push_back({step.name, human_count(step.count), human_duration(step.busy), human_duration(step.waiting),
                    step.busy > 0 ? rate_text(static_cast<double>(step.count) / step.busy) : "–",
                    busy_text("thread", static_cast<std::uint64_t>(step.threads), step.share)});
  print_table(rows, {1, 2, 3, 4, 5});
  print_gpu_lanes(report);
  print_decoding(report);
  if (report.bottleneck) print_line("Bottleneck: " + report.bottleneck->text);
}

nlohmann::json steps_json(const AnalyzeReport& report) {
  nlohmann::json steps = nlohmann::json::array();
  for (const pipeline::StepReport& step : report.steps)
    steps.push_back({{"step", step.name},
                     {"count", step.count},
                     {"threads", step.threads},
                     {"busy_seconds", step.busy},
                     {"waiting_seconds", step.waiting},
                     {"share", step.share}});
  return steps;
}

nlohmann::json bottleneck_json(const AnalyzeReport& report) {
  if (!report.bottleneck) return {};
  return {{"name", report.bottleneck->name}, {"share", report.bottleneck->share}, {"text", report.bottleneck->text}};
}

nlohmann::json gpu_lanes_json(const AnalyzeReport& report) {
  nlohmann::json lanes = nlohmann::json::array();
  for (const gpu::LaneTotals& lane : report.gpu_lanes)
    lanes.push_back({{"lane", lane.lane},
                     {"runs", lane.runs},
                     {"busy_seconds", lane.busy},
                     {"wait_seconds", lane.wait},
                     {"idle_seconds", lane.idle}});
  return lanes;
}

nlohmann::json phases_json(const AnalyzeReport& report) {
  nlohmann::json phases = nlohmann::json::object();
  for (const PhaseReport* phase : report.phases()) {
    std::string key = phase->name;
    std::ranges::replace(key, ' ', '_');
    phases[key] = phase_json(*phase, report.cores);
  }
  return phases;
}

nlohmann::json report_json(const AnalyzeReport& report, const GpuMonitor& gpus) {
  return {{"run", report.run},
          {"files", report.scan.files},
          {"media", report.scan.media},
          {"recordings", report.scan.recordings},
          {"skipped", report.scan.skipped},
          {"not_media", report.not_media()},
          {"sidecars", report.scan.sidecars},
          {"excluded", report.scan.excluded},
          {"excluded_folders", report.scan.excluded_folders},
          {"hidden", report.scan.hidden},
          {"left_out_by", patterns_json(report.scan.patterns)},
          {"added", report.added},
          {"changed", report.changed},
          {"moved", report.moved},
          {"unchanged", report.unchanged},
          {"missing", report.missing},
          {"newly_excluded", report.newly_excluded},
          {"offline", report.offline},
          {"analysed", report.analysed},
          {"duplicates", report.duplicates},
          {"failed", report.failed},
          {"failed_files", report.failed_files},
          {"waiting", report.waiting},
          {"killed", report.killed},
          {"worker_deaths", report.worker_deaths},
          {"decoded_on_gpu", decoding_json(report)},
          {"cores", report.cores},
          {"phases", phases_json(report)},
          {"video_seconds", report.video_seconds},
          {"sound_seconds", report.sound_seconds},
          {"steps", steps_json(report)},
          {"bottleneck", bottleneck_json(report)},
          {"gpu_lanes", gpu_lanes_json(report)},
          {"gpus", gpus_json(gpus)},
          {"cloud", report.cloud ? cloud_json(*report.cloud) : nlohmann::json()},
          {"seconds", report.seconds},
          {"interrupted", report.cancelled},
          {"notes", report.notes}};
}

void print_report(const Context& context, const AnalyzeReport& report, const GpuMonitor& gpus) {
  std::string media = human_count(report.scan.media - report.scan.recordings, "photo or video", "photos and videos");
  if (report.scan.recordings > 0) media += ", " + human_count(report.scan.recordings, "recording");
  print_line(fmt::format("{}, {} skipped", media, human_count(report.scan.skipped, "other file")));
  const std::array<std::pair<const char*, std::uint64_t>, 7> parts = {{{"new", report.added},
                                                                       {"changed", report.changed},
                                                                       {"moved", report.moved},
                                                                       {"unchanged", report.unchanged},
                                                                       {"failed", report.failed_files},
                                                                       {"missing", report.missing},
                                                                       {"offline", report.offline}}};
  std::string line;
  for (const auto& [name, count] : parts)
    if (count > 0) line += fmt::format("{}{} {}", line.empty() ? "  " : ", ", human_count(count), name);
  if (!line.empty()) print_line(line);
  print_left_out(report.scan);
  if (report.duplicates > 0)
    print_line(
        fmt::format("  {} the same picture or sound as another file", human_count(report.duplicates, "has", "have")));
  if (report.metadata.files + report.content.files + report.videos.files + report.sounds.files > 0) {
    print_line("");
    print_phases(report);
    print_line("");
    print_steps(report);
    print_line("");
  }
  if (report.videos.files > 0)
    print_line(fmt::format("{} of video in {} ({:.1f} × real time)", human_duration(report.video_seconds),
                           human_duration(report.videos.seconds),
                           report.video_seconds / std::max(report.videos.seconds, 1e-3)));
  if (report.sounds.files > 0)
    print_line(fmt::format("{} of sound in {} ({:.1f} × real time)", human_duration(report.sound_seconds),
                           human_duration(report.sounds.seconds),
                           report.sound_seconds / std::max(report.sounds.seconds, 1e-3)));
  if (gpus != nullptr) print_gpus(context, *gpus);
  if (report.cloud) print_cloud(*report.cloud);
  for (const std::string& note : report.notes) print_line(styled(context, Style::kYellow, note));
  if (report.failed > 0)
    print_line(styled(context, Style::kYellow,
                      fmt::format("{} failed: image-engine failures lists them", human_count(report.failed))));
  if (report.cancelled)
    print_line(styled(context, Style::kYellow,
                      fmt::format("Interrupted. What was finished is kept; {} left: run the same command again",
                                  human_count(report.waiting, "file is", "files are"))));
  else
    print_line(styled(context, Style::kGreen, fmt::format("Done in {}", human_duration(report.seconds))));
}

}  // namespace image_engine::cli
