#include "cli/plugins_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli/output.h"
#include "cli/photo_outputs.h"
#include "cli/plugins_videos.h"
#include "cli/video_progress.h"
#include "core/file.h"
#include "core/json.h"
#include "core/progress.h"
#include "core/text.h"
#include "pipeline/analyze.h"
#include "pipeline/plugin_detectors.h"
#include "pipeline/plugin_models.h"
#include "pipeline/plugin_photos.h"
#include "pipeline/segment.h"
#include "pipeline/stages.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

struct Format {
  const char* name;
  const char* ending;
  worker::PictureFormat format;
};
constexpr std::array kFormats = {Format{"png", ".png", worker::PictureFormat::kPng},
                                 Format{"jpeg", ".jpg", worker::PictureFormat::kJpeg},
                                 Format{"webp", ".webp", worker::PictureFormat::kWebp}};

const Format& format_of(const std::string& name) {
  return *std::ranges::find_if(kFormats, [&](const Format& format) { return name == format.name; });
}

// NAME=…, each name once.
Result<std::map<std::string, std::string>> assignments(const std::vector<std::string>& given, const char* flag) {
  std::map<std::string, std::string> values;
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(ErrorCode::kInvalidArgument, fmt::format("{} takes NAME=…, not '{}'", flag, printable(text)));
    if (!values.emplace(text.substr(0, equals), text.substr(equals + 1)).second)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} {} is given twice", flag, printable(text.substr(0, equals))));
  }
  return values;
}

Result<std::map<std::string, std::string>> input_files(const plugins::Description& description,
                                                       const std::vector<std::string>& given) {
  IE_TRY(auto files, assignments(given, "--input"));
  for (auto& [name, path] : files) {
    const auto takes = [&name = name](const plugins::Port& port) {
      return port.name == name && port.kind != plugins::PortKind::kRecord;
    };
    if (std::none_of(description.inputs.begin() + 1, description.inputs.end(), takes))
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} has no input '{}' for a file", description.name, printable(name)));
    path = absolute_path(path);
  }
  return files;
}

// What the catalogue knows of a photo, as JSON; "": nothing.
Result<std::string> record_of(const store::CatalogueReader* reader, const std::string& photo) {
  if (reader == nullptr) return "";
  const Result<store::AssetId> id = reader->find_asset_by_path(photo);
  if (!id) return id.error().code == ErrorCode::kNotFound ? Result<std::string>("") : fail(id.error());
  IE_TRY(const store::AssetRecord record, reader->asset_record(*id, photo));
  return json_text(store::asset_json(record, pipeline::json_sections()));
}

class PluginRun {
 public:
  PluginRun(const Context& context, const PluginRunFlags& flags, plugins::Plugin& plugin, bool is_shipped,
            worker::Pool& pool, const OutputFolder& targets, pipeline::PhotoOptions options)
      : context_(context),
        flags_(flags),
        plugin_(plugin),
        pool_(pool),
        targets_(targets),
        options_(std::move(options)),
        videos_(context_, flags_, plugin_, is_shipped, options_, targets_) {}

  Result<int> all(const std::vector<std::string>& photos) {
    const bool needs_record = std::ranges::any_of(plugin_.description().inputs, [](const plugins::Port& port) {
      return port.kind == plugins::PortKind::kRecord;
    });
    const std::vector<std::string> names = output_names(photos);
    Progress progress(flags_.name, photos.size(), !context_.quiet);
    double part = 0;  // of the photo at hand
    VideoProgress video(progress);
    progress.append_text(
        [&] { return part > 0 && part < 1 ? fmt::format("{:.0f} % of a photo", part * 100) : video.text(); });
    plugins::RunWatch watch;
    pipeline::PluginModels models(context_.config);
    watch.offers.run_model = [&models](const std::string& name, std::span<const Tensor> inputs) {
      return models.run(name, inputs);
    };
    IE_TRY(pipeline::PictureSegmenter segmenter, pipeline::PictureSegmenter::open(context_.config));
    watch.offers.segment = [&segmenter](const ImageView& picture,
                                        const std::string& target) -> Result<std::vector<std::uint8_t>> {
      IE_TRY(pipeline::Segmented found, segmenter.segment(picture, target));
      return std::move(found.alpha);
    };
    watch.stop = interruption();
    pipeline::PluginDetectors detectors(context_.config, watch.stop);
    watch.offers.detect = [&detectors](const ImageView& picture, const std::string& what) {
      return detectors.find(picture, what);
    };
    watch.progress = [&](double done) {
      part = done;
      progress.add(0);
    };
    for (std::size_t i = 0; i < photos.size() && !interrupted(); ++i) {
      part = 0;
      const Result<MadeOutputs> result = is_video(photos[i]) ? videos_.run(photos[i], names[i], watch, video.begin())
                                                             : one(photos[i], names[i], needs_record, watch);
      video.end();
      if (!result && (is_of_the_run(result.error().code) || result.error().code == ErrorCode::kInvalidArgument))
        return fail(result.error());
      if (!result && result.error().code == ErrorCode::kInterrupted) break;
      progress.add();
      report(photos[i], result);
    }
    if (context_.json)
      print_json("plugins-run", {{"plugin", flags_.name}, {"results", std::move(results_)}, {"failed", failed_}});
    if (interrupted()) return kInterrupted;
    if (failed_ == 0) return kDone;
    return failed_ == photos.size() ? kFailed : kDoneWithFailures;
  }

 private:
  Result<MadeOutputs> one(const std::string& photo, const std::string& beginning, bool needs_record,
                          const plugins::RunWatch& watch) {
    std::map<std::string, std::string> paths;  // by output; checked before the work
    for (const plugins::Port& port : plugin_.description().outputs) {
      const char* ending = port.kind == plugins::PortKind::kRecord ? ".json" : format_of(flags_.format).ending;
      IE_TRY(paths[port.name], targets_.path_of(fmt::format("{}-{}{}", beginning, port.name, ending)));
    }
    std::string record;
    if (needs_record) {
      IE_TRY(record, record_of(targets_.reader(), photo));
    }
    IE_TRY(pipeline::MadeFiles made, pipeline::run_plugin(plugin_, pool_, photo, record, options_, watch));
    MadeOutputs result{{}, std::move(made.messages), made.seconds};
    for (const pipeline::MadeFile& file : made.files) {
      IE_CHECK(write_file_atomically(paths[file.output], file.bytes));
      result.files.push_back({file.output, paths[file.output], file.width, file.height});
    }
    return result;
  }

  void report(const std::string& photo, const Result<MadeOutputs>& result) {
    if (!result) {
      ++failed_;
      results_.push_back(failed_entry(context_, photo, result.error()));
      return;
    }
    nlohmann::json entry = file_entry(photo);
    entry["messages"] = result->messages;
    entry["seconds"] = rounded(result->seconds, 4);
    entry["files"] = nlohmann::json::array();
    for (const WrittenOutput& file : result->files) {
      nlohmann::json written = {{"output", file.output}};
      store::put_path(written, file.path);
      if (file.width > 0) written["width"] = file.width, written["height"] = file.height;
      entry["files"].push_back(std::move(written));
      if (!context_.json && !context_.quiet) print_line(file.path);
    }
    if (!context_.json)
      for (const std::string& message : result->messages)
        std::fprintf(stderr, "%s: %s: %s\n", flags_.name.c_str(), printable(photo).c_str(), printable(message).c_str());
    results_.push_back(std::move(entry));
  }

  const Context& context_;
  const PluginRunFlags& flags_;
  plugins::Plugin& plugin_;
  worker::Pool& pool_;
  const OutputFolder& targets_;
  pipeline::PhotoOptions options_;
  PluginVideos videos_;
  nlohmann::json results_ = nlohmann::json::array();
  std::uint64_t failed_ = 0;
};

}  // namespace

Result<int> run_plugin_command(const Context& context, const plugins::Store& store, const PluginRunFlags& flags) {
  IE_TRY(const std::unique_ptr<plugins::Plugin> plugin, store.load(flags.name));
  pipeline::PhotoOptions options;
  options.format = format_of(flags.format).format;
  options.quality = flags.quality;
  IE_TRY(const auto given, assignments(flags.values, "--set"));
  IE_TRY(options.values, plugins::parameter_values(plugin->description(), given));
  IE_TRY(options.inputs, input_files(plugin->description(), flags.inputs));
  IE_TRY(const std::vector<std::string> photos, photos_of(flags.files));
  IE_TRY(const OutputFolder targets, OutputFolder::create(context, flags.folder, photos, flags.force));
  worker::PoolOptions pool_options = pipeline::pool_options(context.config);
  pool_options.workers = 2;  // one holds the photo while the other encodes
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(pool_options));
  return PluginRun(context, flags, *plugin, store.is_shipped(flags.name), *pool, targets, std::move(options))
      .all(photos);
}

}  // namespace image_engine::cli
