#include "cli/plugins_run.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "cli/output.h"
#include "cli/write_target.h"
#include "core/file.h"
#include "core/json.h"
#include "core/progress.h"
#include "core/text.h"
#include "pipeline/analyze.h"
#include "pipeline/plugin_detectors.h"
#include "pipeline/plugin_models.h"
#include "pipeline/plugin_photos.h"
#include "pipeline/stages.h"
#include "scan/scan.h"
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

// Files as they are given, and the photos in folders.
Result<std::vector<std::string>> photos_of(const std::vector<std::string>& given) {
  IE_TRY(const scan::Walker walker, scan::Walker::create({}));
  std::vector<std::string> photos;
  for (const std::string& name : given) {
    const std::string path = absolute_path(name);
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
      photos.push_back(path);  // one that is missing is an error of its own
      continue;
    }
    std::optional<Error> problem;
    scan::ScanVisitor visitor;
    visitor.file = [&](scan::FoundFile&& file) {
      if (file.kind == MediaKind::kPhoto) photos.push_back(std::move(file.path));
      return !interrupted();
    };
    visitor.problem = [&](const scan::ScanProblem& found) { problem = found.error; };
    walker.walk({path}, visitor);
    if (problem) return fail(problem->code, printable(path) + ": " + problem->message);
  }
  return photos;
}

std::string stem_of(const std::string& path) {
  const std::string name(file_name(path));
  const std::size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? name : name.substr(0, dot);
}

// The beginning of each photo's outputs' names: its name without the extension, with it where several photos have that
// stem, and a number where they even have the same name.
std::vector<std::string> beginnings(const std::vector<std::string>& photos) {
  std::map<std::string, int> stems;
  for (const std::string& photo : photos) ++stems[stem_of(photo)];
  std::set<std::string> taken;
  std::vector<std::string> names;
  for (const std::string& photo : photos) {
    const std::string name = stems[stem_of(photo)] == 1 ? stem_of(photo) : std::string(file_name(photo));
    std::string beginning = name;
    for (int i = 2; !taken.insert(beginning).second; ++i) beginning = fmt::format("{}-{}", name, i);
    names.push_back(std::move(beginning));
  }
  return names;
}

// One that a run may write into, and what it must not touch.
class Targets {
 public:
  static Result<Targets> create(const Context& context, const std::string& folder,
                                const std::vector<std::string>& photos, bool force) {
    Targets targets;
    targets.folder_ = absolute_path(folder);
    targets.force_ = force;
    IE_CHECK(make_folders(targets.folder_));
    for (const std::string& photo : photos) {
      struct stat info {};
      if (::stat(photo.c_str(), &info) == 0) targets.photos_.emplace(info.st_dev, info.st_ino);
    }
    Result<store::CatalogueReader> reader = store::CatalogueReader::open(context.catalogue);
    if (!reader && reader.error().code != ErrorCode::kNotFound) return fail(reader.error());
    if (reader) targets.reader_.emplace(std::move(*reader));
    return targets;
  }

  // The path of a file of that name. kInvalidArgument: a photo is there, or another file and not --force.
  Result<std::string> path_of(const std::string& name) const {
    std::string path = join_path(folder_, name);
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0 && photos_.contains({info.st_dev, info.st_ino}))
      return fail(ErrorCode::kInvalidArgument,
                  printable(path) + " is one of the photos, which are never written to: name another folder");
    if (reader_) IE_CHECK(check_target(*reader_, path));
    if (!force_)
      if (const Status absent = check_absent(path); !absent)
        return fail(ErrorCode::kInvalidArgument, printable(path) + " exists: --force replaces it");
    return path;
  }

  // What the catalogue knows of a photo, as JSON; "": nothing.
  [[nodiscard]] Result<std::string> record_of(const std::string& photo) const {
    if (!reader_) return "";
    const Result<store::AssetId> id = reader_->find_asset_by_path(photo);
    if (!id) return id.error().code == ErrorCode::kNotFound ? Result<std::string>("") : fail(id.error());
    IE_TRY(const store::AssetRecord record, reader_->asset_record(*id, photo));
    return json_text(store::asset_json(record, pipeline::json_sections()));
  }

 private:
  std::string folder_;
  bool force_ = false;
  std::set<std::pair<dev_t, ino_t>> photos_;
  std::optional<store::CatalogueReader> reader_;
};

// A file that was written.
struct Written {
  std::string output, path;
  std::uint32_t width = 0, height = 0;
};
struct PhotoResult {
  std::vector<Written> files;
  std::vector<std::string> messages;
  double seconds = 0;
};

class PluginRun {
 public:
  PluginRun(const Context& context, const PluginRunFlags& flags, plugins::Plugin& plugin, worker::Pool& pool,
            const Targets& targets, pipeline::PhotoOptions options)
      : context_(context),
        flags_(flags),
        plugin_(plugin),
        pool_(pool),
        targets_(targets),
        options_(std::move(options)) {}

  Result<int> all(const std::vector<std::string>& photos) {
    const bool needs_record = std::ranges::any_of(plugin_.description().inputs, [](const plugins::Port& port) {
      return port.kind == plugins::PortKind::kRecord;
    });
    const std::vector<std::string> names = beginnings(photos);
    Progress progress(flags_.name, photos.size(), !context_.quiet);
    double part = 0;  // of the photo at hand
    progress.append_text([&] { return part > 0 && part < 1 ? fmt::format("{:.0f} % of a photo", part * 100) : ""; });
    plugins::RunWatch watch;
    pipeline::PluginModels models(context_.config);
    watch.offers.run_model = [&models](const std::string& name, std::span<const Tensor> inputs) {
      return models.run(name, inputs);
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
      const Result<PhotoResult> result = one(photos[i], names[i], needs_record, watch);
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
  Result<PhotoResult> one(const std::string& photo, const std::string& beginning, bool needs_record,
                          const plugins::RunWatch& watch) {
    std::map<std::string, std::string> paths;  // by output; checked before the work
    for (const plugins::Port& port : plugin_.description().outputs) {
      const char* ending = port.kind == plugins::PortKind::kRecord ? ".json" : format_of(flags_.format).ending;
      IE_TRY(paths[port.name], target(fmt::format("{}-{}{}", beginning, port.name, ending)));
    }
    std::string record;
    if (needs_record) {
      IE_TRY(record, targets_.record_of(photo));
    }
    IE_TRY(pipeline::MadeFiles made, pipeline::run_plugin(plugin_, pool_, photo, record, options_, watch));
    PhotoResult result{{}, std::move(made.messages), made.seconds};
    for (const pipeline::MadeFile& file : made.files) {
      IE_CHECK(write_file_atomically(paths[file.output], file.bytes));
      result.files.push_back({file.output, paths[file.output], file.width, file.height});
    }
    return result;
  }

  // A target that is taken is this photo's failure, not the run's.
  Result<std::string> target(const std::string& name) const {
    Result<std::string> path = targets_.path_of(name);
    if (!path && path.error().code == ErrorCode::kInvalidArgument)
      return fail(ErrorCode::kPermission, path.error().message);
    return path;
  }

  void report(const std::string& photo, const Result<PhotoResult>& result) {
    nlohmann::json entry = nlohmann::json::object();
    store::put_path(entry, photo);
    if (!result) {
      ++failed_;
      entry["error"] = {{"code", error_name(result.error().code)}, {"message", to_utf8(result.error().message)}};
      if (!context_.json)
        std::fprintf(stderr, "image-engine: %s: %s\n", printable(photo).c_str(),
                     printable(result.error().message).c_str());
      results_.push_back(std::move(entry));
      return;
    }
    entry["messages"] = result->messages;
    entry["seconds"] = rounded(result->seconds, 4);
    entry["files"] = nlohmann::json::array();
    for (const Written& file : result->files) {
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
  const Targets& targets_;
  pipeline::PhotoOptions options_;
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
  if (photos.empty()) return fail(ErrorCode::kNotFound, "there is no photo in what is given");
  IE_TRY(const Targets targets, Targets::create(context, flags.folder, photos, flags.force));
  worker::PoolOptions pool_options = pipeline::pool_options(context.config);
  pool_options.workers = 2;  // one holds the photo while the other encodes
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(pool_options));
  return PluginRun(context, flags, *plugin, *pool, targets, std::move(options)).all(photos);
}

}  // namespace image_engine::cli
