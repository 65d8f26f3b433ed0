#include "pipeline/plugin_videos.h"

#include <algorithm>
#include <map>
#include <utility>

#include "pipeline/video_masks.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {
namespace {

// What a plugin that is asked for masks of one target gets.
Result<std::vector<std::uint8_t>> steady_mask(std::map<std::string, VideoMasks>& known, const Config& config,
                                              const ImageView& picture, const std::string& target) {
  auto masks = known.find(target);
  if (masks == known.end()) {
    IE_TRY(VideoMasks made, VideoMasks::open(config, target, {}));
    masks = known.emplace(target, std::move(made)).first;
  }
  return masks->second.next(picture);
}

// Grey is the same in all colours.
std::vector<std::uint8_t> coloured(const plugins::PixelView& grey) {
  std::vector<std::uint8_t> pixels;
  pixels.reserve(grey.pixels.size() * 3);
  for (const std::uint8_t value : grey.pixels) pixels.insert(pixels.end(), 3, value);
  return pixels;
}

}  // namespace

Result<std::size_t> video_output(const plugins::Description& description) {
  for (std::size_t i = 0; i < description.outputs.size(); ++i)
    if (description.outputs[i].kind != plugins::PortKind::kRecord && description.outputs[i].same_size) return i;
  return fail(ErrorCode::kUnsupported,
              description.name + " takes photos only: it makes no picture that has the size of its input");
}

Result<bool> is_transparent(plugins::Plugin& plugin, worker::Pool& pool, const std::string& video,
                            const PhotoOptions& options, const plugins::RunWatch& watch) {
  IE_TRY(const std::size_t output, video_output(plugin.description()));
  IE_TRY(OtherInputs inputs, OtherInputs::read(plugin.description(), pool, "", options));
  IE_TRY(const worker::DecodedFile first, worker::decode_file(pool, video, {.operations = worker::kDecode, .at = 0}));
  const ImageView pixels = first.pixels();
  inputs.list[0].picture = {3, pixels.width, pixels.height, pixels.pixels};
  IE_TRY(const plugins::RunResult result, plugin.run(inputs.list, options.values, watch));
  return result.outputs[output].picture.channels == 4;
}

Result<PluginVideo> run_plugin_on_video(plugins::Plugin& plugin, worker::Pool& pool, const Config& config,
                                        const std::string& video, const PhotoOptions& options, ClipFormat format,
                                        VideoCoding coding, const std::string& target, plugins::RunWatch run_watch,
                                        const VideoWatch& watch) {
  IE_TRY(const double seconds, video_seconds(pool, video));
  IE_TRY(const std::size_t output, video_output(plugin.description()));
  IE_TRY(OtherInputs inputs, OtherInputs::read(plugin.description(), pool, "", options));
  std::map<std::string, VideoMasks> masks;
  run_watch.offers.segment = [&](const ImageView& picture, const std::string& wanted) {
    return steady_mask(masks, config, picture, wanted);
  };
  run_watch.progress = {};
  worker::RewriteTask rewrite;
  rewrite.format = format;
  rewrite.coding = coding;
  rewrite.sends_pictures = 1;
  rewrite.threads = static_cast<std::uint32_t>(config.worker_count());
  PluginVideo made;
  const auto answer = [&](const AskedFrame& frame, FrameAnswers& answers) -> Status {
    plugins::Input& input = inputs.list[0];
    input.picture = {3, frame.picture.width, frame.picture.height, frame.picture.pixels};
    input.descriptor = frame.descriptor;
    input.offset = frame.offset;
    IE_TRY(const plugins::RunResult result, plugin.run(inputs.list, options.values, run_watch));
    for (const std::string& message : result.messages)
      if (std::ranges::find(made.messages, message) == made.messages.end()) made.messages.push_back(message);
    const plugins::PixelView& picture = result.outputs[output].picture;
    if (picture.channels == 0) return fail(ErrorCode::kUnsupported, "the plugin made nothing of one of the frames");
    if (picture.channels == 1) return answers.give(picture.width, picture.height, 3, coloured(picture));
    return answers.give(picture.width, picture.height, picture.channels, picture.pixels);
  };
  IE_TRY(made.file, rewrite_video(pool, video, rewrite, seconds, target, answer, watch));
  for (const auto& [name, of_target] : masks)
    if (of_target.found() == 0) made.messages.push_back(name + " was seen in none of the frames");
  return made;
}

}  // namespace image_engine::pipeline
