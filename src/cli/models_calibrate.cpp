#include "cli/models_calibrate.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/calibration_samples.h"
#include "cli/output.h"
#include "core/file.h"
#include "core/json.h"
#include "core/temporary_folder.h"
#include "core/text.h"
#include "infer/engine_cache.h"
#include "models/calibrated.h"
#include "models/folder_lock.h"
#include "models/python.h"
#include "pipeline/installed_models.h"
#include "pipeline/sample_photos.h"

namespace image_engine::cli {
namespace {

using models::Spec;
using nlohmann::json;

constexpr std::chrono::seconds kLimit{1800};

// The result of tools/models/quantise.py for the photos held back for the check.
struct Quantised {
  std::size_t photos = 0;
  double cosine = 1;  // the least; 1 also where another process has made the graph
};

struct Work {
  const Context& context;
  const Spec& spec;
  const models::InstallPaths& paths;
  std::string source, place;  // the model, and where its int8 graph goes
};

std::string graphs() { return infer::graphs_folder(pipeline::inference_folder()); }

// Detects that a file was replaced.
std::pair<ino_t, std::int64_t> stamp_of(const std::string& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return {0, 0};
  return {info.st_ino, mtime_ns(info)};
}

Result<Quantised> read_report(const std::string& text) {
  const json report = parse_json(text);
  const bool sound = report.is_object() && report.contains("cosine") && report["cosine"].is_object() &&
                     report.contains("samples") && report["samples"].is_array() && !report["samples"].empty() &&
                     report["samples"][0].is_number_unsigned();
  if (!sound) return fail(ErrorCode::kIo, "quantise.py returned an invalid report");
  Quantised found{report["samples"][0].get<std::size_t>(), 1};
  for (const json& cosine : report["cosine"])
    found.cosine = std::min(found.cosine, cosine.is_number() ? cosine.get<double>() : -1);
  return found;
}

Result<Quantised> quantise(const Work& work, const std::string& photos, const std::string& folder,
                           const std::string& graph) {
  IE_TRY(const auto session, infer::Session::create(work.source, {}));
  const std::string samples = join_path(folder, "samples");
  IE_CHECK(make_folders(samples, 0700));
  IE_CHECK(write_calibration_samples({photos, work.source, work.spec.name, session->inputs(), samples},
                                     work.context.config));
  IE_TRY(const std::string python, models::converter_python(work.paths.python, work.paths.tools, interruption()));
  const std::string least = fmt::format("{}", infer::gate_of(work.spec, "int8").cosine);
  auto report = models::run_script(python, join_path(work.paths.tools, "quantise.py"),
                                   {"--input", absolute_path(work.source), "--output", absolute_path(graph),
                                    "--samples", absolute_path(samples), "--least", least},
                                   kLimit, interruption());
  if (!report) return fail(report.error().code, fmt::format("{}: {}", work.spec.name, report.error().message));
  return read_report(*report);
}

Result<infer::Compared> compared(const Work& work, const pipeline::InstalledModels& models, const std::string& graph) {
  auto found = models.compare(work.spec, graph);
  if (found) return found;
  return fail(ErrorCode::kUnsupported,
              fmt::format("{}: int8 is rejected, and nothing was stored: {}", work.spec.name, found.error().message));
}

struct Calibrated {
  Quantised photos;
  infer::Compared found;
};

// Makes the graph beside its final path, checks it and renames it: in one process, while others wait and share it.
Result<Calibrated> make(const Work& work, const pipeline::InstalledModels& models, const std::string& photos) {
  const auto before = stamp_of(work.place);
  IE_CHECK(make_folders(graphs(), 0700));
  IE_TRY(const auto lock, models::FolderLock::take(work.place + ".lock", interruption()));
  if (const auto now = stamp_of(work.place); now != before && now.first != 0) {
    IE_TRY(const infer::Compared found, compared(work, models, work.place));
    return Calibrated{{}, found};
  }
  IE_TRY(const TemporaryFolder folder, TemporaryFolder::at(work.place + ".making"));
  const std::string graph = join_path(folder.path(), "graph.onnx");
  IE_TRY(const Quantised quantised, quantise(work, photos, folder.path(), graph));
  IE_TRY(const infer::Compared found, compared(work, models, graph));
  if (::rename(graph.c_str(), work.place.c_str()) != 0)
    return fail(errno_error("cannot write " + printable(work.place)));
  return Calibrated{quantised, found};
}

// Checks that the model takes photos and has a single graph.
Status check_kind(const Spec& spec) {
  if (!spec.parts.empty())
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} has several graphs; only models of one graph can be calibrated", spec.name));
  if (spec.input.width == 0)
    return fail(ErrorCode::kUnsupported, fmt::format("{} does not analyze pictures", spec.name));
  return {};
}

Result<int> remove(const Work& work) {
  if (::unlink(work.place.c_str()) != 0) {
    if (errno != ENOENT) return fail(errno_error("cannot remove " + printable(work.place)));
    return fail(ErrorCode::kNotFound, fmt::format("{} is not calibrated", work.spec.name));
  }
  if (work.context.json)
    print_json("models-calibrate", {{"model", work.spec.name}, {"state", "removed"}, {"file", to_utf8(work.place)}});
  else if (!work.context.quiet)
    print_line(fmt::format("{}: its int8 graph is removed", work.spec.name));
  return kDone;
}

void report(const Work& work, const Calibrated& made, const infer::Chosen& chosen) {
  struct stat info {};
  const std::uint64_t bytes = ::stat(work.place.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  const double cosine = std::min(made.photos.cosine, made.found.found.cosine);
  const std::string& first = work.spec.variants.front().precision;
  if (work.context.json) {
    print_json("models-calibrate", {{"model", work.spec.name},
                                    {"state", "calibrated"},
                                    {"file", to_utf8(work.place)},
                                    {"bytes", bytes},
                                    {"photos", made.photos.photos},
                                    {"cosine", cosine},
                                    {"least_cosine", infer::gate_of(work.spec, "int8").cosine},
                                    {"speed", made.found.speed},
                                    {"compared_with", first},
                                    {"taken", chosen.calibrated},
                                    {"reason", to_utf8(chosen.reason)}});
    return;
  }
  if (work.context.quiet) return;
  print_line(fmt::format(
      "{}: int8 made{}, cosine {:.4f}, {:.2f} times as fast as {} here, {}", work.spec.name,
      made.photos.photos > 0 ? " with " + human_count(static_cast<std::uint64_t>(made.photos.photos), "photo") : "",
      cosine, made.found.speed, first, human_bytes(bytes)));
  print_line(
      fmt::format("on the CPU {} is used: {}", chosen.calibrated ? "it" : chosen.precision, printable(chosen.reason)));
}

}  // namespace

std::string calibrated_graph(const models::Store& store, const Spec& spec) {
  if (spec.variants.empty()) return "";
  return models::find_calibrated(store.variant_path(spec, spec.variants.front()), graphs());
}

Result<int> calibrate_model(const Context& context, const CalibrateFlags& flags) {
  const models::InstallPaths paths = models::find_install_paths(context.config.models.folder);
  IE_TRY(const models::Registry registry, models::Registry::load(paths.shipped, paths.added));
  const auto named = registry.find(flags.name);
  if (!named) return fail(ErrorCode::kInvalidArgument, named.error().message);
  const Spec& spec = **named;
  IE_CHECK(check_kind(spec));
  Config config = context.config;  // int8 runs on the CPU: the best graph is measured there
  config.inference.device = "cpu";
  config.inference.precision = "auto";
  config.inference.require_gpu = false;
  IE_TRY(const auto installed, pipeline::InstalledModels::open(paths, config));
  Work work{context, spec, paths, installed.store().variant_path(spec, spec.variants.front()), ""};
  if (work.source.empty())
    return fail(ErrorCode::kNotFound,
                fmt::format("the model {0} is not installed whole: `image-engine models pull {0}`", spec.name));
  work.place = models::calibrated_path(work.source, graphs());
  if (flags.remove) return remove(work);
  IE_TRY(const std::string photos, pipeline::samples_folder(flags.photos, "--calibration"));
  IE_TRY(const Calibrated made, make(work, installed, photos));
  IE_TRY(const infer::Chosen chosen, installed.picture_session(spec));
  report(work, made, chosen);
  return kDone;
}

}  // namespace image_engine::cli
