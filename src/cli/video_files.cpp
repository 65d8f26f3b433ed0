#include "cli/video_files.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/output.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "pipeline/video_clip.h"
#include "pipeline/video_document.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

struct ClockRange {
  double from = 0, to = 0;  // seconds
};

Result<ClockRange> parse_clock_range(const std::string& text) {
  for (const std::string_view dash : {"-", "–"}) {
    const size_t at = text.find(dash);
    if (at == std::string::npos) continue;
    const auto from = parse_clock(text.substr(0, at)), to = parse_clock(text.substr(at + dash.size()));
    if (!from || !to) break;
    if (*from >= *to)
      return fail(ErrorCode::kInvalidArgument, printable(text) + " ends before it begins: write --at 0:12-0:20");
    return ClockRange{*from, *to};
  }
  return fail(ErrorCode::kInvalidArgument,
              (text.empty() ? "--clip needs a part of the video" : printable(text) + " is not a part of a video") +
                  ": write --at 0:12-0:20");
}

Result<worker::CutTask> task_of(const store::AssetRecord& record, const std::string& path, const std::string& range,
                                const std::string& target) {
  if (record.kind != MediaKind::kVideo)
    return fail(ErrorCode::kInvalidArgument, printable(path) + " is not a video: --clip is for videos");
  IE_TRY(const ClockRange part, parse_clock_range(range));
  const auto format = clip_format_of(lower_extension(target));
  if (!format) {
    std::string extensions;
    for (const ClipFormatRow& row : kClipFormats)
      extensions += (extensions.empty() ? "" : ", ") + std::string(row.extension);
    return fail(ErrorCode::kInvalidArgument, "clips are written as one of " + extensions +
                                                 ", as their name ends: name another file than " + printable(target));
  }
  return worker::CutTask{part.from, part.to, *format};
}

nlohmann::json streams_json(const worker::CutSummary& cut) {
  nlohmann::json streams = nlohmann::json::array();
  for (const std::string& codec : cut.video_codecs) streams.push_back({{"kind", "video"}, {"codec", codec}});
  for (const std::string& codec : cut.audio_codecs) streams.push_back({{"kind", "audio"}, {"codec", codec}});
  return streams;
}

// The best frame of each scene, evenly chosen where there are more than fit; of few scenes evenly spaced frames.
Result<worker::PreviewTask> preview_of(const store::CatalogueReader& reader, const store::AssetRecord& record) {
  constexpr std::size_t kFewScenes = 8;
  constexpr double kFramesASecond = 4;  // of the video, at most
  IE_TRY(const nlohmann::json video, pipeline::video_json(reader, record));
  const nlohmann::json& scenes = video["scenes"];
  worker::PreviewTask task;
  const auto add = [&](double time) { task.times[task.frames++] = time; };
  if (scenes.size() >= kFewScenes) {
    const std::size_t count = std::min<std::size_t>(scenes.size(), worker::kMostPreviewFrames);
    for (std::size_t i = 0; i < count; ++i) {
      const nlohmann::json& scene = scenes[i * scenes.size() / count];
      add(scene.value("best", scene.value("from", 0.0)));
    }
    return task;
  }
  const auto& info = record.metadata ? record.metadata->video : std::nullopt;
  const double begin = scenes.empty() ? 0 : scenes.front().value("from", 0.0);
  const double end = scenes.empty() ? (info ? info->duration : 0) : scenes.back().value("to", 0.0);
  const double length = std::max(end - begin, 0.0);
  const double count = std::clamp(std::floor(length * kFramesASecond), 1.0, double{worker::kMostPreviewFrames});
  for (int i = 0; i < static_cast<int>(count); ++i) add(begin + (i + 0.5) * length / count);
  return task;
}

}  // namespace

Result<int> cut_clip(const Context& context, const store::AssetRecord& record, const std::string& path,
                     const std::string& range, const std::string& target) {
  IE_TRY(const worker::CutTask task, task_of(record, path, range, target));
  IE_CHECK(catch_interrupts());
  IE_TRY(const pipeline::Clip clip, pipeline::write_clip(path, context.config, task, target, interruption()));
  const worker::CutSummary& cut = clip.cut;
  if (context.json) {
    nlohmann::json json = {
        {"from", thousandths(cut.from)}, {"to", thousandths(cut.to)}, {"key_frame", thousandths(cut.key_frame)},
        {"streams", streams_json(cut)},  {"bytes", clip.bytes},       {"warnings", cut.warnings}};
    store::put_path(json, target);
    print_json("clip", json);
    return kDone;
  }
  print_line(printable(target));
  if (context.quiet) return kDone;
  for (const std::string& warning : cut.warnings) print_line(styled(context, Style::kYellow, printable(warning)));
  print_line(styled(context, Style::kDim,
                    fmt::format("{}–{} of the video, copied from the key frame at {} on: {}, {}", clock_text(cut.from),
                                clock_text(cut.to), clock_text(cut.key_frame), fmt::join(cut.video_codecs, ", "),
                                human_bytes(clip.bytes))));
  return kDone;
}

Result<int> animate(const Context& context, const store::CatalogueReader& reader, const store::AssetRecord& record,
                    const std::string& path, const std::string& target) {
  if (record.kind != MediaKind::kVideo)
    return fail(ErrorCode::kInvalidArgument, printable(path) + " is not a video: --preview is for videos");
  if (lower_extension(target) != ".webp")
    return fail(ErrorCode::kInvalidArgument, "previews are animated WebP: name a file that ends in .webp");
  IE_TRY(const worker::PreviewTask task, preview_of(reader, record));
  IE_CHECK(catch_interrupts());
  IE_TRY(const std::uint64_t bytes, pipeline::write_preview(path, context.config, task, target));
  if (context.json) {
    nlohmann::json json = {{"frames", task.frames}, {"frame_milliseconds", task.frame_duration}, {"bytes", bytes}};
    store::put_path(json, target);
    print_json("preview", json);
    return kDone;
  }
  print_line(printable(target));
  if (!context.quiet)
    print_line(styled(context, Style::kDim, fmt::format("{} frames, {}", task.frames, human_bytes(bytes))));
  return kDone;
}

}  // namespace image_engine::cli
