#include "cli/plugins_videos.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>

#include "core/elapsed.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "pipeline/plugin_videos.h"
#include "pipeline/private_video.h"
#include "pipeline/video_cutout.h"

namespace image_engine::cli {
namespace {

// As privacy-blur's targets and styles: what is looked for, and the squares along its longer edge.
struct HideTarget {
  const char* name;
  const char* what;  // of pipeline::HideTask
  std::uint32_t squares;
};
constexpr std::array kHideTargets = {HideTarget{"faces", "face", 4}, HideTarget{"people", "person", 12},
                                     HideTarget{"text", "text", 1}, HideTarget{"background", "background", 16}};
struct StyleRow {
  const char* name;
  HideStyle style;
};
constexpr std::array kHideStyles = {StyleRow{"mosaic", HideStyle::kMosaic}, StyleRow{"solid", HideStyle::kSolid},
                                    StyleRow{"blur", HideStyle::kBlur}};

// "x,y,width,height; …"
Result<std::vector<Box>> kept_boxes(const std::string& text) {
  std::vector<Box> boxes;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ';');) {
    if (part.find_first_not_of(' ') == std::string::npos) continue;
    Box box;
    int used = 0;
    const int numbers =
        std::sscanf(part.c_str(), " %f , %f , %f , %f %n", &box.x, &box.y, &box.width, &box.height, &used);
    const bool is_finite = std::isfinite(box.x) && std::isfinite(box.y) && box.width > 0 && box.height > 0 &&
                           std::isfinite(box.width) && std::isfinite(box.height);
    if (numbers != 4 || static_cast<std::size_t>(used) != part.size() || !is_finite)
      return fail(ErrorCode::kInvalidArgument, "keep takes boxes in the video's pixels: x,y,width,height; …");
    boxes.push_back(box);
  }
  return boxes;
}

std::vector<std::string> with_notes(std::vector<std::string> messages, const worker::RewriteSummary& summary) {
  messages.insert(messages.end(), summary.notes.begin(), summary.notes.end());
  return messages;
}

}  // namespace

const plugins::Value& PluginVideos::value(const std::string& name) const {
  const auto& parameters = plugin_.description().parameters;
  const auto found = std::ranges::find(parameters, name, &plugins::Parameter::name);
  return options_.values[static_cast<std::size_t>(found - parameters.begin())];
}

Result<MadeOutputs> PluginVideos::run(const std::string& video, const std::string& beginning,
                                      const plugins::RunWatch& run_watch, const pipeline::VideoWatch& watch) {
  constexpr std::pair<const char*, Way> kWays[] = {{"privacy-blur", &PluginVideos::hide},
                                                   {"subject-isolation", &PluginVideos::isolate}};
  if (!pool_) {
    IE_TRY(pool_, pipeline::video_workers(context_.config));
  }
  const auto start = std::chrono::steady_clock::now();
  Way way = &PluginVideos::frame_by_frame;
  for (const auto& [name, own] : kWays)
    if (is_shipped_ && plugin_.description().name == name) way = own;
  IE_TRY(MadeOutputs made, (this->*way)({video, beginning, run_watch, watch, *pool_}));
  made.seconds = seconds_since(start);
  return made;
}

Result<MadeOutputs> PluginVideos::hide(const Video& video) {
  pipeline::HideTask task;
  const auto* const target =
      std::ranges::find_if(kHideTargets, [&](const HideTarget& row) { return value("target").text == row.name; });
  task.what = target->what;
  task.squares = target->squares;
  task.style =
      std::ranges::find_if(kHideStyles, [&](const StyleRow& row) { return value("style").text == row.name; })->style;
  task.margin = value("margin").number;
  IE_TRY(task.keep, kept_boxes(value("keep").text));
  task.format = container_for(video.path);
  const std::string output = plugin_.description().outputs[0].name;
  IE_TRY(const std::string path,
         folder_.path_of(fmt::format("{}-{}{}", video.beginning, output, row_of(task.format).extension)));
  IE_TRY(const pipeline::PrivateVideo made,
         pipeline::hide_in_video(video.pool, context_.config, video.path, task, path, video.watch));
  std::string found = fmt::format("{}: {} hidden, {} kept", target->name, made.hidden, made.kept);
  if (made.hidden + made.kept == 0) found = fmt::format("{}: none found: look whether that is so", target->name);
  if (task.what == std::string("background"))
    found = fmt::format("people were seen in {} of {} frames", made.hidden, made.file.summary.frames);
  return MadeOutputs{{{output, path, made.file.width, made.file.height}}, with_notes({found}, made.file.summary), 0};
}

Result<MadeOutputs> PluginVideos::isolate(const Video& video) {
  const AlphaContainer& container = alpha_container(flags_.video_format);
  pipeline::CutoutTask task;
  task.target = value("target").text;
  task.is_cropped = true;
  task.margin = value("margin").number;
  task.format = container.format;
  task.coding = container.coding;
  const std::string stem = video.beginning + "-subject";
  IE_TRY(const std::string path, folder_.path_of(stem + std::string(row_of(task.format).extension)));
  IE_TRY(const std::string where, folder_.path_of(video.beginning + "-where.json"));
  IE_TRY(const pipeline::CutoutVideo made,
         pipeline::cut_out_of_video(video.pool, context_.config, video.path, task, path, video.watch));
  const auto whole = [](const Box& box) {
    return nlohmann::json{std::lround(box.x), std::lround(box.y), std::lround(box.width), std::lround(box.height)};
  };
  const nlohmann::json place = {{"box", whole(made.box)}, {"cut", whole(made.cut)}};
  IE_CHECK(write_file_atomically(where, json_text(place) + "\n"));
  std::vector<std::string> messages = with_notes({}, made.file.summary);
  if (value("mask").number != 0) messages.emplace_back("of videos the mask is made by image-engine segment --as mask");
  return MadeOutputs{{{"subject", path, made.width, made.height}, {"where", where, 0, 0}}, std::move(messages), 0};
}

Result<MadeOutputs> PluginVideos::frame_by_frame(const Video& video) {
  IE_TRY(const std::size_t output, pipeline::video_output(plugin_.description()));
  IE_TRY(const bool has_alpha, pipeline::is_transparent(plugin_, video.pool, video.path, options_, video.run_watch));
  const AlphaContainer opaque{"mp4", ClipFormat::kMp4, VideoCoding::kOpaque};
  const AlphaContainer container = has_alpha ? alpha_container(flags_.video_format) : opaque;
  const std::string& name = plugin_.description().outputs[output].name;
  IE_TRY(const std::string path,
         folder_.path_of(fmt::format("{}-{}{}", video.beginning, name, row_of(container.format).extension)));
  IE_TRY(const pipeline::PluginVideo made,
         pipeline::run_plugin_on_video(plugin_, video.pool, context_.config, video.path, options_, container.format,
                                       container.coding, path, video.run_watch, video.watch));
  return MadeOutputs{
      {{name, path, made.file.width, made.file.height}}, with_notes(made.messages, made.file.summary), 0};
}

}  // namespace image_engine::cli
