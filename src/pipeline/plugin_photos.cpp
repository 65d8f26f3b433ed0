#include "pipeline/plugin_photos.h"

#include <fmt/format.h>

#include "core/text.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {
namespace {

using plugins::Input;
using plugins::Port;
using plugins::PortKind;

// The pixels of inputs that are copied.
using OwnedPixels = std::vector<std::vector<std::uint8_t>>;

Result<plugins::PixelView> other_picture(worker::Pool& pool, const std::string& path, PortKind kind,
                                         OwnedPixels& owned) {
  IE_TRY(const worker::DecodedFile file, worker::decode_file(pool, path, {}));
  const ImageView pixels = file.pixels();
  const bool is_mask = kind == PortKind::kMask;
  std::vector<std::uint8_t>& copy = owned.emplace_back();
  if (is_mask) {
    copy.resize(std::size_t{pixels.width} * pixels.height);
    for (std::size_t i = 0; i < copy.size(); ++i) copy[i] = pixels.pixels[i * 3 + 1];
  } else {
    copy.assign(pixels.pixels.begin(), pixels.pixels.end());
  }
  return plugins::PixelView{is_mask ? 1U : 3U, pixels.width, pixels.height, copy};
}

Result<MadeFile> encode(worker::Pool& pool, const plugins::Plugin& plugin, const Port& port,
                        const plugins::Output& output, const PhotoOptions& options) {
  const plugins::PixelView& picture = output.picture;
  worker::Lease lease = pool.lease();
  worker::Task task;
  task.operations = worker::kEncode;
  task.encode = {output.offset, picture.width, picture.height, picture.channels, options.format, options.quality};
  IE_TRY(const worker::Reply reply, lease.run(task, plugin.memory_descriptor()));
  if (!reply.encoded) return fail(reply.encoded.error());
  const auto bytes = lease.bytes(*reply.encoded);
  return MadeFile{port.name, false, {bytes.begin(), bytes.end()}, picture.width, picture.height};
}

}  // namespace

Result<OtherInputs> OtherInputs::read(const plugins::Description& description, worker::Pool& pool,
                                      const std::string& record, const PhotoOptions& options) {
  OtherInputs inputs;
  inputs.list.resize(1);
  for (std::size_t i = 1; i < description.inputs.size(); ++i) {
    const Port& port = description.inputs[i];
    Input& input = inputs.list.emplace_back();
    const auto given = options.inputs.find(port.name);
    if (port.kind == PortKind::kRecord) {
      input.record = record;
      if (record.empty() && !port.optional)
        return fail(ErrorCode::kNotFound,
                    "the catalogue has no record of this photo, which the plugin needs: run image-engine analyze");
    } else if (given != options.inputs.end()) {
      Result<plugins::PixelView> picture = other_picture(pool, given->second, port.kind, inputs.pixels_);
      if (!picture) return fail(picture.error().code, printable(given->second) + ": " + picture.error().message);
      input.picture = *picture;
    } else if (!port.optional) {
      return fail(ErrorCode::kInvalidArgument, fmt::format("the plugin needs a {0}: --input {0}=FILE", port.name));
    }
  }
  return inputs;
}

plugins::PluginOptions plugin_options(const Config& config) {
  plugins::PluginOptions options;
  options.memory_limit = static_cast<std::uint64_t>(config.plugins.memory_limit_mb) << 20;
  options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(config.plugins.timeout_seconds * 1000));
  options.require_sandbox = config.worker.sandbox == "strict";
  return options;
}

Result<MadeFiles> run_plugin(plugins::Plugin& plugin, worker::Pool& pool, const std::string& photo,
                             const std::string& record, const PhotoOptions& options, const plugins::RunWatch& watch) {
  const plugins::Description& description = plugin.description();
  IE_TRY(OtherInputs inputs, OtherInputs::read(description, pool, record, options));
  IE_TRY(const worker::DecodedFile decoded, worker::decode_file(pool, photo, {}));
  const ImageView pixels = decoded.pixels();
  inputs.list[0].picture = {3, pixels.width, pixels.height, pixels.pixels};
  inputs.list[0].descriptor = decoded.memory_descriptor();
  inputs.list[0].offset = decoded.picture().offset;
  IE_TRY(const plugins::RunResult result, plugin.run(inputs.list, options.values, watch));
  MadeFiles made{{}, result.messages, result.seconds};
  for (std::size_t i = 0; i < result.outputs.size(); ++i) {
    const Port& port = description.outputs[i];
    const plugins::Output& output = result.outputs[i];
    if (!output.record.empty()) {
      const auto text = std::as_bytes(std::span(output.record));
      made.files.push_back({port.name, true, {text.begin(), text.end()}, 0, 0});
    } else if (output.picture.channels > 0) {
      IE_TRY(MadeFile file, encode(pool, plugin, port, output, options));
      made.files.push_back(std::move(file));
    }
  }
  return made;
}

}  // namespace image_engine::pipeline
