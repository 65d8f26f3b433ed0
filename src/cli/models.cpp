#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/app.h"
#include "cli/models_calibrate.h"
#include "cli/models_prepare.h"
#include "cli/output.h"
#include "core/file.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/temporary_folder.h"
#include "core/text.h"
#include "infer/model_trial.h"
#include "models/add.h"
#include "models/export.h"
#include "models/install_paths.h"
#include "models/provenance.h"
#include "models/pull.h"
#include "models/registry.h"
#include "models/store.h"
#include "pipeline/installed_models.h"
#include "pipeline/model_fit.h"

namespace image_engine::cli {
namespace {

using models::Presence;
using models::Spec;

constexpr char kModelsExamples[] = R"(
Examples:
  image-engine models list
  image-engine models pull                     (the default set)
  image-engine models pull centernet
  image-engine models pull isnet --accept-licence
  image-engine models verify
  image-engine models prepare                  (on a GPU: makes graphs, measures settings)
  image-engine models add my.onnx --task objects --spec my.yaml
  image-engine models add yolov8n.onnx --as yolov8n
  image-engine models add yolov8n.pt --as yolov8n --trust --python ~/yolo/bin/python
  image-engine models remove my-detector
  image-engine models calibrate clip-vit-b-32 --calibration ~/Pictures   (int8 for the CPU)
  image-engine models calibrate clip-vit-b-32 --remove
  image-engine models export clip --from FOLDER -o FOLDER
  image-engine models export detr --from FOLDER --python ~/torch/bin/python

A model is fetched from the sources in its spec, checked against its checksum and stored with its licence and provenance.
Keys for servers that need one: HF_TOKEN, NGC_API_KEY.)";

struct ModelsFlags {
  std::vector<std::string> names, accepted;
  std::string file, task, spec, name, as, labels;
  std::string kind, from, folder = ".", python;
  int opset = 17, size = 0;
  std::string tried;
  std::uint64_t memory = 0;  // bytes
  bool force = false, int8 = false, dynamic = false, accept_named = false, trusted = false;
  CalibrateFlags calibration;
};

// What every subcommand works on.
struct Models {
  models::InstallPaths paths;
  models::Registry registry;
  models::Store store;

  static Result<Models> open(const Context& context) {
    models::InstallPaths paths = models::find_install_paths(context.config.models.folder);
    IE_TRY(models::Registry registry, models::Registry::load(paths.shipped, paths.added));
    models::Store store(paths.root, paths.packed);
    return Models{std::move(paths), std::move(registry), std::move(store)};
  }
};

// A bar for each file that is fetched.
class PullProgress {
 public:
  explicit PullProgress(bool enabled) : enabled_(enabled) {}
  void update(std::string_view what, std::uint64_t done, std::uint64_t total) {
    if (!bar_ || what != what_ || total != total_ || done < bar_->done()) {
      bar_.emplace(std::string(what), total, enabled_, ProgressUnit::kByte);
      what_ = what;
      total_ = total;
    }
    bar_->add(done - bar_->done());
  }
  void end() { bar_.reset(); }

 private:
  bool enabled_;
  std::optional<Progress> bar_;
  std::string what_;
  std::uint64_t total_ = 0;
};

models::PullOptions pull_options(const Models& all, PullProgress& progress) {
  models::PullOptions options;
  options.tools = all.paths.tools;
  options.python = all.paths.python;
  options.progress = [&progress](std::string_view what, std::uint64_t done, std::uint64_t total) {
    progress.update(what, done, total);
  };
  options.stop = interruption();
  return options;
}

// Of the installed files, else of those to fetch; 0 if any is unknown.
std::uint64_t bytes_of(const Models& all, const Spec& spec) {
  std::uint64_t bytes = 0;
  if (const auto provenance = models::read_provenance(all.store.found_in(spec))) {
    for (const models::InstalledFile& file : provenance->files) bytes += file.bytes;
    return bytes;
  }
  if (std::ranges::any_of(spec.files, [](const models::FileSpec& file) { return file.bytes == 0; })) return 0;
  for (const models::FileSpec& file : spec.files) bytes += file.bytes;
  return bytes;
}

// An entry of the document's `models`; with the error that a command met, if any.
nlohmann::json model_json(const Models& all, const Spec& spec, const Error* error = nullptr) {
  nlohmann::json out = {
      {"name", spec.name},
      {"task", spec.task},
      {"title", spec.title},
      {"aliases", spec.aliases},
      {"awaits", to_utf8(spec.awaits.file)},
      {"version", spec.version},
      {"state", models::presence_name(all.store.presence(spec))},
      {"default", spec.in_default_set},
      {"preference", spec.preference},
      {"licence",
       {{"name", spec.licence.name}, {"permissive", spec.licence.permissive}, {"notice", spec.licence.notice}}},
      {"bytes", bytes_of(all, spec)},
      {"precisions", nlohmann::json::array()},
      {"calibrated", !calibrated_graph(all.store, spec).empty()},
      {"folder", to_utf8(all.store.found_in(spec))},
      {"spec", to_utf8(spec.file)}};
  for (const models::Variant& variant : spec.variants) out["precisions"].push_back(variant.precision);
  if (error != nullptr) out["error"] = {{"code", error_name(error->code)}, {"message", to_utf8(error->message)}};
  return out;
}

Style style_of(Presence presence) {
  constexpr Style kStyles[] = {Style::kDim, Style::kGreen, Style::kYellow, Style::kRed, Style::kDim};
  return kStyles[static_cast<size_t>(presence)];
}

std::string precisions_of(const Models& all, const Spec& spec) {
  std::string text;
  for (const models::Variant& variant : spec.variants) text += (text.empty() ? "" : ", ") + variant.precision;
  return calibrated_graph(all.store, spec).empty() ? text : text + ", int8 (calibrated)";
}

Result<int> list(const Context& context, const Models& all) {
  if (context.json) {
    nlohmann::json entries = nlohmann::json::array();
    for (const Spec& spec : all.registry.specs()) entries.push_back(model_json(all, spec));
    print_json("models", {{"models", std::move(entries)}});
    return kDone;
  }
  std::vector<std::vector<std::string>> rows{
      {"name", "task", "state", "set", "licence", "size", "precision", "version"}};
  for (const Spec& spec : all.registry.specs()) {
    const std::uint64_t bytes = bytes_of(all, spec);
    rows.push_back({spec.name, printable(spec.task), std::string(models::presence_name(all.store.presence(spec))),
                    spec.in_default_set ? "default" : "",
                    printable(spec.licence.name) + (spec.licence.permissive ? "" : " *"),
                    bytes > 0                   ? human_bytes(bytes)
                    : !spec.awaits.file.empty() ? "yours"
                    : spec.server.empty()       ? "?"
                                                : "",
                    printable(precisions_of(all, spec)), printable(spec.version)});
  }
  print_table(rows, {5});
  const auto& specs = all.registry.specs();
  if (!context.quiet && !std::ranges::all_of(specs, [](const Spec& spec) { return spec.licence.permissive; }))
    print_line("* needs --accept-license NAME");
  return kDone;
}

// Those named, or all that `wanted` accepts.
template <typename Wanted>
Result<std::vector<const Spec*>> chosen(const Models& all, const std::vector<std::string>& names, Wanted wanted) {
  std::vector<const Spec*> specs;
  for (const std::string& name : names) {
    const Result<const Spec*> found = all.registry.find(name);
    if (!found) return fail(ErrorCode::kInvalidArgument, found.error().message);
    specs.push_back(*found);
  }
  if (names.empty())
    for (const Spec& spec : all.registry.specs())
      if (wanted(spec)) specs.push_back(&spec);
  return specs;
}

// Runs `work` on each model and reports the result.
template <typename Work>
Result<int> for_each(const Context& context, const Models& all, const std::vector<const Spec*>& specs,
                     std::string_view done, Work work, const std::vector<std::string>& notes = {}) {
  nlohmann::json entries = nlohmann::json::array();
  bool failed = false;
  for (const Spec* spec : specs) {
    const Status status = work(*spec);
    if (!status && status.error().code == ErrorCode::kInterrupted) return fail(status.error());
    failed |= !status;
    if (context.json) {
      entries.push_back(model_json(all, *spec, status ? nullptr : &status.error()));
      if (!notes.empty()) entries.back()["notes"] = notes;
    } else if (!status) {
      std::fprintf(stderr, "image-engine: %s\n", printable(status.error().message).c_str());
    } else if (!context.quiet) {
      const std::string notice = spec->licence.notice.empty() ? "" : ": " + spec->licence.notice;
      print_line(fmt::format("{}  {}  {}", spec->name, styled(context, style_of(all.store.presence(*spec)), done),
                             styled(context, Style::kDim,
                                    fmt::format("({}, licence {}{})", human_bytes(bytes_of(all, *spec)),
                                                printable(spec->licence.name), printable(notice)))));
    }
  }
  if (context.json) print_json("models", {{"models", std::move(entries)}});
  return failed ? kFailed : kDone;
}

Result<int> pull(const Context& context, const Models& all, const ModelsFlags& flags) {
  IE_TRY(const std::vector<const Spec*> specs,
         chosen(all, flags.names, [](const Spec& spec) { return spec.in_default_set; }));
  PullProgress progress(!context.quiet);
  models::PullOptions options = pull_options(all, progress);
  options.accepted_licences = flags.accepted;
  if (flags.accept_named) std::ranges::copy(flags.names, std::back_inserter(options.accepted_licences));
  options.force = flags.force;
  const Result<int> code = for_each(context, all, specs, "installed", [&](const Spec& spec) {
    const Status status = models::pull(spec, all.store, options);
    progress.end();
    return status;
  });
  if (code && *code == kDone) models::forget_packages(all.store, options);
  return code;
}

// In the process for a user's model: infer/model_trial.h.
Result<int> try_here(const ModelsFlags& flags) {
  const Status status = infer::try_model_here(flags.tried, flags.memory);
  return status ? kDone : static_cast<int>(status.error().code) + infer::kTrialCodes;
}

Result<int> verify(const Context& context, const Models& all, const ModelsFlags& flags) {
  IE_TRY(const std::vector<const Spec*> specs, chosen(all, flags.names, [&](const Spec& spec) {
           const Presence presence = all.store.presence(spec);
           return presence != Presence::kAbsent && presence != Presence::kServed;
         }));
  if (specs.empty() && !context.json && !context.quiet)
    print_line("no model is installed; `image-engine models pull` installs the default set");
  return for_each(context, all, specs, "is sound", [&](const Spec& spec) { return all.store.verify(spec); });
}

// A bar of the seconds that a job without steps takes.
std::function<void(double)> seconds_bar(const Context& context, std::string_view title) {
  const auto bar = std::make_shared<Progress>(std::string(title), 0, !context.quiet, ProgressUnit::kSecond);
  return [bar](double seconds) {
    if (const auto whole = static_cast<std::uint64_t>(seconds); whole > bar->done()) bar->add(whole - bar->done());
  };
}

// The option, else the environment's.
std::string torch_python(const ModelsFlags& flags) {
  const char* variable = std::getenv("IMAGE_ENGINE_EXPORT_PYTHON");
  return flags.python.empty() && variable != nullptr ? variable : flags.python;
}

// Replaces a trusted pickle by what it is converted to, with the spec that the converter wrote unless one was named.
Status convert_pickle(const Context& context, const Models& all, const ModelsFlags& flags, const std::string& folder,
                      models::AddRequest& request) {
  IE_TRY(const std::vector<models::ExportedFile> made,
         models::export_model({.kind = "yolo",
                               .from = flags.file,
                               .folder = folder,
                               .trusted = true,
                               .own_python = torch_python(flags),
                               .tools = all.paths.tools,
                               .python = all.paths.python,
                               .waiting = seconds_bar(context, "Converting"),
                               .stop = interruption()}));
  request.file = join_path(folder, made.front().name);
  if (request.spec.empty() && request.as.empty()) request.spec = join_path(folder, "spec.yaml");
  return {};
}

// Runs what was added once; a model that does not fit its spec is removed again.
Result<std::string> fit_of(const Context& context, const Models& all, const Spec& spec,
                           const models::PullOptions& options) {
  const auto checked = [&]() -> Result<std::string> {
    IE_TRY(const auto models, pipeline::InstalledModels::open(all.paths, context.config));
    IE_TRY(const Spec* installed, models.find(spec.task, spec.name));
    return pipeline::check_fit(models, *installed);
  }();
  if (checked) return checked;
  if (const Status removed = models::remove_model(spec, all.store, all.paths.added, options); !removed)
    log_warning("{}", removed.error().message);
  const bool is_run = checked.error().code == ErrorCode::kInterrupted;
  return fail(is_run ? ErrorCode::kInterrupted : ErrorCode::kInvalidArgument, "not added: " + checked.error().message);
}

Result<int> add_requested(const Context& context, const Models& all, const models::AddRequest& request) {
  PullProgress progress(!context.quiet);
  const models::PullOptions options = pull_options(all, progress);
  IE_TRY(models::AddedModel added, models::add_model(request, all.registry, all.store, options));
  progress.end();
  IE_TRY(std::string fit, fit_of(context, all, added.spec, options));
  if (!fit.empty()) added.notes.push_back(std::move(fit));
  if (!context.json && !context.quiet)
    for (const std::string& note : added.notes) print_line(fmt::format("{}: {}", added.spec.name, printable(note)));
  return for_each(
      context, all, {&added.spec}, "added", [](const Spec&) { return Status{}; }, added.notes);
}

Result<int> add(const Context& context, const Models& all, const ModelsFlags& flags) {
  models::AddRequest request{flags.file, flags.spec, flags.as, flags.labels, flags.task, flags.name, all.paths.added};
  if (!flags.trusted || !models::is_pickle(flags.file)) return add_requested(context, all, request);
  IE_TRY(const TemporaryFolder converted, TemporaryFolder::create());
  IE_CHECK(convert_pickle(context, all, flags, converted.path(), request));
  return add_requested(context, all, request);
}

Result<int> remove(const Context& context, const Models& all, const ModelsFlags& flags) {
  IE_TRY(const std::vector<const Spec*> specs, chosen(all, flags.names, [](const Spec&) { return false; }));
  PullProgress progress(false);
  const models::PullOptions options = pull_options(all, progress);
  return for_each(context, all, specs, "removed", [&](const Spec& spec) -> Status {
    const std::string calibrated = calibrated_graph(all.store, spec);
    IE_CHECK(models::remove_model(spec, all.store, all.paths.added, options));
    if (!calibrated.empty()) ::unlink(calibrated.c_str());
    return {};
  });
}

// The option, else the environment's for those that need one.
std::string export_python(const ModelsFlags& flags) {
  const bool is_torch = std::ranges::any_of(
      models::exporters(), [&](const models::Exporter& each) { return each.name == flags.kind && each.needs_torch; });
  return is_torch ? torch_python(flags) : flags.python;
}

Result<int> export_one(const Context& context, const Models& all, const ModelsFlags& flags) {
  const models::ExportRequest request{.kind = flags.kind,
                                      .from = flags.from,
                                      .folder = flags.folder,
                                      .opset = flags.opset,
                                      .int8 = flags.int8,
                                      .size = flags.size,
                                      .dynamic = flags.dynamic,
                                      .own_python = export_python(flags),
                                      .tools = all.paths.tools,
                                      .python = all.paths.python,
                                      .waiting = seconds_bar(context, "Exporting"),
                                      .stop = interruption()};
  IE_TRY(const std::vector<models::ExportedFile> files, models::export_model(request));
  nlohmann::json entries = nlohmann::json::array();
  for (const models::ExportedFile& file : files) {
    const std::string path = join_path(absolute_path(flags.folder), file.name);
    if (context.json)
      entries.push_back({{"path", to_utf8(path)}, {"checked", to_utf8(file.checked)}});
    else if (!context.quiet)
      print_line(fmt::format("{}  {}", printable(path), styled(context, Style::kDim, printable(file.checked))));
  }
  if (context.json) print_json("models-export", {{"files", std::move(entries)}});
  return kDone;
}

void add_export_flags(Arguments app, ModelsFlags& flags) {
  std::string kinds;
  for (const models::Exporter& exporter : models::exporters())
    kinds += fmt::format("{}{} ({})", kinds.empty() ? "" : "; ", exporter.name, exporter.what);
  app.add_option("KIND", flags.kind, kinds).required();
  app.add_option("--from", flags.from, "The model: safetensors and their configuration; of yolo an ONNX file")
      .type_name("PATH")
      .required();
  app.add_option("-o,--output", flags.folder, "Where the ONNX files go; without it the current folder")
      .type_name("FOLDER");
  app.add_option("--opset", flags.opset, "The version of ONNX's operators; 17 unless given, 14 for old programs")
      .type_name("N");
  app.add_flag("--int8", flags.int8, "clip: write int8 variants too");
  app.add_option("--size", flags.size,
                 "detr, dfine, segformer: width and height of the input; without it the model's own")
      .type_name("N")
      .range(1, 4096);
  app.add_flag("--dynamic", flags.dynamic, "detr: pictures of any size, short edge 800, with a pixel mask");
  app.add_option("--python", flags.python, "A Python with torch and transformers, for detr, dfine and segformer")
      .type_name("PROGRAM");
}

}  // namespace

Action setup_models(Arguments app, Settings&) {
  auto flags = std::make_shared<ModelsFlags>();
  app.require_subcommand();
  app.footer(kModelsExamples);
  Arguments list_app = app.add_subcommand("list", "The known models, and which are installed");
  Arguments pull_app = app.add_subcommand("pull", "Fetch and install models; without a NAME the default set");
  pull_app.add_option("NAME", flags->names, "Models");
  pull_app.add_option("--accept-license", flags->accepted, "A licence, or a model whose licence you agree with")
      .type_name("NAME")
      .one_value_each();
  pull_app.add_flag("--accept-licence", flags->accept_named, "Agree with the licences of the models named here");
  pull_app.add_flag("--force", flags->force, "Fetch again what is installed");
  Arguments verify_app = app.add_subcommand("verify", "Read installed models and compare their checksums");
  verify_app.add_option("--try", flags->tried).hide();
  verify_app.add_option("--memory", flags->memory).hide();
  verify_app.add_option("NAME", flags->names, "Models; without one all that are installed");
  Arguments prepare_app = app.add_subcommand("prepare", "Load what analyze will use; on a GPU measure it");
  prepare_app.add_option("NAME", flags->names, "Models; without one all that analyze uses");
  Arguments add_app = app.add_subcommand("add", "Install a model file of your own");
  add_app.add_option("FILE", flags->file, "The model, ONNX").required();
  const Option spec =
      add_app.add_option("--spec", flags->spec, "A YAML that describes it: docs/models.md").type_name("FILE");
  add_app.add_option("--as", flags->as, "The model of `models list` that it is a file of")
      .type_name("NAME")
      .excludes(spec);
  add_app.add_option("--labels", flags->labels, "Its classes in order, one a line").type_name("FILE");
  add_app.add_flag("--trust", flags->trusted, "Read a .pt of Ultralytics', which can run any code");
  add_app.add_option("--python", flags->python, "A Python with ultralytics, for --trust").type_name("PROGRAM");
  add_app.add_option("--task", flags->task, "What it is for: objects, …").type_name("TASK");
  add_app.add_option("--name", flags->name, "A name other than the spec's");
  Arguments remove_app = app.add_subcommand("remove", "Remove models from this machine");
  remove_app.add_option("NAME", flags->names, "Models").required();
  Arguments export_app = app.add_subcommand("export", "Write a model of your own as ONNX");
  add_export_flags(export_app, *flags);
  Arguments calibrate_app = app.add_subcommand("calibrate", "Make an int8 graph of a model with your own photos");
  calibrate_app.add_option("NAME", flags->calibration.name, "An installed model for pictures").required();
  const Option photos = calibrate_app
                            .add_option("--calibration", flags->calibration.photos,
                                        "Photos like yours; without it the samples of the source tree")
                            .type_name("DIR");
  calibrate_app.add_flag("--remove", flags->calibration.remove, "Remove the int8 graph").excludes(photos);
  return [=](Context& context) -> Result<int> {
    IE_CHECK(catch_interrupts());
    if (calibrate_app.parsed()) return calibrate_model(context, flags->calibration);
    if (prepare_app.parsed()) return prepare_models(context, flags->names);
    IE_TRY(const Models all, Models::open(context));
    if (list_app.parsed()) return list(context, all);
    if (pull_app.parsed()) return pull(context, all, *flags);
    if (verify_app.parsed() && !flags->tried.empty()) return try_here(*flags);
    if (verify_app.parsed()) return verify(context, all, *flags);
    if (add_app.parsed()) return add(context, all, *flags);
    if (export_app.parsed()) return export_one(context, all, *flags);
    return remove(context, all, *flags);
  };
}

}  // namespace image_engine::cli
