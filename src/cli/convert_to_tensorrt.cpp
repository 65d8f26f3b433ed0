#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/calibration_samples.h"
#include "cli/output.h"
#include "core/file.h"
#include "core/progress.h"
#include "core/temporary_folder.h"
#include "core/text.h"
#include "infer/engine_build.h"
#include "infer/engine_cache.h"
#include "infer/made_graphs.h"
#include "infer/tensorrt.h"
#include "models/folder_lock.h"
#include "models/install_paths.h"
#include "models/python.h"

namespace image_engine::cli {
namespace {

using infer::EngineRecord;
using infer::Provider;
using infer::TensorInfo;

constexpr char kConvertToTensorrtExamples[] = R"(
Examples:
  image-engine convert-to-tensorrt --onnx clip_vision_fp32.onnx
  image-engine convert-to-tensorrt --onnx detr.onnx --output detr_fp16.trt --max-batch-size 8
  image-engine convert-to-tensorrt --onnx clip.onnx --precision int8 --calibration ~/Pictures --model clip-vit-b-32
  image-engine convert-to-tensorrt --onnx dfine.onnx --dimension height=640 --dimension width=640
  image-engine convert-to-tensorrt --onnx clip.onnx --format epcontext --output clip_trt.onnx

An engine is for this GPU, driver and TensorRT, which FILE.json records, and is not used with others. FILE.onnx is the
model by which ONNX Runtime loads it. Building takes minutes and needs TensorRT 10: docs/tensorrt.md.)";

constexpr std::chrono::seconds kGraphLimit{1800};

struct ConvertToTensorrtFlags {
  std::string onnx, output, precision = "fp16", calibration, model, format = "engine";
  std::vector<std::string> dimensions;
  std::int64_t least = 1, best = 0, most = 0;  // 0: the default of the model's kind
  double workspace_gb = 4;
  std::uint64_t workspace_bytes = 0;  // of a build in this process
  int gpu = 0;
  bool here = false;
};

Result<std::pair<std::string, std::int64_t>> dimension_of(const std::string& text) {
  const std::size_t equals = text.rfind('=');
  std::int64_t size = 0;
  if (equals != text.npos && equals > 0) {
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + equals + 1, end, size);
    if (error == std::errc() && rest == end && size > 0) return std::pair(text.substr(0, equals), size);
  }
  return fail(ErrorCode::kInvalidArgument, fmt::format("--dimension {}: NAME=SIZE is expected", printable(text)));
}

// The number in "cuda:1"; a GPU is needed, whatever --device is.
int gpu_of(std::string_view device) {
  int number = 0;
  if (device.starts_with("cuda:")) std::from_chars(device.data() + 5, device.data() + device.size(), number);
  return number;
}

// The name of the model's kind for output files; else the file's own name.
std::string default_output(const ConvertToTensorrtFlags& flags) {
  constexpr std::pair<std::string_view, std::string_view> kKinds[] = {{"clip", "clip_vision"}, {"detr", "detr"}};
  std::string name = std::filesystem::path(std::string(file_name(flags.onnx))).stem().string();
  for (const auto& [word, kind] : kKinds)
    if (ascii_lower(name).find(word) != std::string::npos) name = kind;
  return fmt::format("{}_{}.{}", name, flags.precision, flags.format == "engine" ? "trt" : "onnx");
}

// The engine's file; for an EP-context model, the one beside it.
std::string engine_file(const ConvertToTensorrtFlags& flags, const std::string& output) {
  return flags.format == "engine" ? output : std::filesystem::path(output).replace_extension(".engine").string();
}

Result<infer::EngineJob> job_of(const ConvertToTensorrtFlags& flags) {
  infer::EngineJob job{absolute_path(flags.onnx), {}};
  infer::TensorRtOptions wanted;
  const infer::BatchDefaults usual = infer::default_batches(flags.onnx);
  wanted.precision = flags.precision;
  wanted.least_batch = flags.least;
  wanted.most_batch = flags.most != 0 ? flags.most : std::max(usual.most, flags.best);
  wanted.best_batch = flags.best != 0 ? flags.best : std::min(usual.best, wanted.most_batch);
  if (!(flags.workspace_gb > 0 && flags.workspace_gb <= 1024))
    return fail(ErrorCode::kInvalidArgument, "--workspace-gb: a number up to 1024 is expected");
  wanted.workspace_bytes = flags.workspace_bytes != 0
                               ? flags.workspace_bytes
                               : static_cast<std::uint64_t>(std::llround(flags.workspace_gb * (1U << 30U)));
  IE_CHECK(infer::check_tensorrt_options(wanted));
  for (const std::string& text : flags.dimensions) {
    IE_TRY(auto dimension, dimension_of(text));
    job.options.fixed_dimensions.push_back(std::move(dimension));
  }
  job.options.provider = Provider::kTensorRt;
  job.options.device = flags.gpu;
  job.options.tensorrt = std::move(wanted);
  return job;
}

// The inputs of a valid model, with the shapes that an engine needs: checked before a GPU is used.
Result<std::vector<TensorInfo>> inputs_of(const infer::EngineJob& job) {
  infer::SessionOptions plain;
  plain.fixed_dimensions = job.options.fixed_dimensions;
  IE_TRY(const auto session, infer::Session::create(job.model, plain));
  IE_CHECK(infer::check_engine_inputs(session->inputs()));
  return session->inputs();
}

bool holds_samples(const std::string& folder) {
  std::error_code ignored;
  return std::ranges::any_of(std::filesystem::directory_iterator(folder, ignored),
                             [](const auto& entry) { return entry.path().extension() == ".npy"; });
}

// The user's folder if it contains samples; else a folder with samples made from its photos.
Result<std::string> samples_for(const Context& context, const ConvertToTensorrtFlags& flags,
                                const std::vector<TensorInfo>& inputs, const std::string& work) {
  std::string given = absolute_path(flags.calibration);
  if (holds_samples(given)) return given;
  std::string made = join_path(work, "samples");
  IE_CHECK(make_folders(made, 0700));
  IE_CHECK(write_calibration_samples({given, flags.onnx, flags.model, inputs, made}, context.config));
  return made;
}

// The graph to build: fp16 with parts in fp32, or quantised, in ONNX's own operators. TensorRT does the rest of a
// precision.
Result<std::string> graph_for(const infer::EngineJob& job, const Context& context, const ConvertToTensorrtFlags& flags,
                              const std::vector<TensorInfo>& inputs, const std::string& folder) {
  const std::string& precision = job.options.tensorrt->precision;
  if (precision == "fp32") return job.model;
  const std::string graph = join_path(folder, "graph.onnx");
  if (precision != "int8") {
    IE_CHECK(infer::make_tensorrt_graph(absolute_path(job.model), absolute_path(graph)));
    return graph;
  }
  const models::InstallPaths paths = models::find_install_paths(context.config.models.folder);
  const std::string program = join_path(paths.tools, "quantise.py");
  if (::access(program.c_str(), R_OK) != 0)
    return fail(ErrorCode::kNotFound, fmt::format("{} is missing", printable(program)));
  IE_TRY(const std::string python, models::converter_python(paths.python, paths.tools, interruption()));
  IE_TRY(const std::string samples, samples_for(context, flags, inputs, folder));
  const std::vector<std::string> arguments{"--input",   absolute_path(job.model), "--output", absolute_path(graph),
                                           "--samples", absolute_path(samples)};
  IE_TRY([[maybe_unused]] const std::string report,
         models::run_script(python, program, arguments, kGraphLimit, interruption()));
  return graph;
}

// "Building clip_vision_fp16.trt: 12 s", overwritten on a terminal, printed now and then elsewhere.
class Waiting {
 public:
  Waiting(std::string what, bool enabled) : what_(std::move(what)), enabled_(enabled) {}
  ~Waiting() {
    if (enabled_ && terminal_) std::fputs("\r\033[K", stderr);
  }
  Waiting(const Waiting&) = delete;
  void update(double seconds) {
    if (!enabled_ || seconds < next_) return;
    next_ = seconds + (terminal_ ? 0.5 : 15);
    std::fprintf(stderr, terminal_ ? "\r\033[KBuilding %s: %s" : "Building %s: %s\n", what_.c_str(),
                 human_duration(seconds).c_str());
    std::fflush(stderr);
  }

 private:
  std::string what_;
  bool enabled_, terminal_ = is_terminal(STDERR_FILENO);
  double next_ = 1;
};

std::string shape_text(const TensorInfo& info) {
  std::vector<std::string> sides;
  for (const std::int64_t side : info.shape) sides.push_back(side < 0 ? "?" : std::to_string(side));
  return fmt::format("{} [{}]", printable(info.name), fmt::join(sides, ", "));
}

nlohmann::json tensors_json(const std::vector<TensorInfo>& infos) {
  nlohmann::json list = nlohmann::json::array();
  for (const TensorInfo& info : infos) list.push_back({{"name", to_utf8(info.name)}, {"shape", info.shape}});
  return list;
}

void report(const Context& context, const std::string& engine, const std::string& loader, const EngineRecord& record) {
  const infer::EngineIdentity& id = record.identity;
  if (context.json) {
    print_json("convert-to-tensorrt",
               {{"engine", to_utf8(engine)},
                {"sidecar", to_utf8(infer::sidecar_of(engine))},
                {"loader", to_utf8(loader)},
                {"precision", id.precision},
                {"batch", {{"least", id.least_batch}, {"best", id.best_batch}, {"most", id.most_batch}}},
                {"gpu", id.gpu},
                {"tensorrt", id.tensorrt},
                {"build_seconds", record.build_seconds},
                {"bytes", record.engine_bytes},
                {"device_bytes", record.device_bytes ? nlohmann::json(*record.device_bytes) : nlohmann::json()},
                {"inputs", tensors_json(record.inputs)},
                {"outputs", tensors_json(record.outputs)}});
    return;
  }
  if (context.quiet) return;
  print_line(printable(engine));
  std::vector<std::vector<std::string>> rows{
      {"precision", id.precision},
      {"batch", fmt::format("{} to {}, best {}", id.least_batch, id.most_batch, id.best_batch)},
      {"built in", human_duration(record.build_seconds)},
      {"file", human_bytes(record.engine_bytes)},
      {"memory",
       record.device_bytes ? human_bytes(*record.device_bytes) + " of the GPU, weights and activations" : "?"},
      {"for", fmt::format("{}, TensorRT {}", id.gpu, id.tensorrt)}};
  for (const TensorInfo& info : record.inputs) rows.push_back({"input", shape_text(info)});
  for (const TensorInfo& info : record.outputs) rows.push_back({"output", shape_text(info)});
  print_table(rows);
}

// A failed build's first line; the others, from TensorRT's parser, go to stderr before it.
std::string first_line_of(const Error& error) {
  const std::size_t first = error.message.find('\n');
  if (first == error.message.npos) return error.message;
  std::fprintf(stderr, "%s\n", error.message.c_str() + first + 1);
  return error.message.substr(0, first);
}

Result<int> convert(const Context& context, const ConvertToTensorrtFlags& flags) {
  IE_TRY(infer::EngineJob job, job_of(flags));
  job.options.device = gpu_of(context.config.inference.device);
  if (flags.precision == "int8" && flags.calibration.empty())
    return fail(ErrorCode::kInvalidArgument,
                "int8 needs photos for calibration: name their folder with --calibration DIR");
  IE_TRY(const std::vector<TensorInfo> inputs, inputs_of(job));
  const std::string output = absolute_path(flags.output.empty() ? default_output(flags) : flags.output);
  const std::string engine = engine_file(flags, output);
  if (Status usable = infer::check_provider(Provider::kTensorRt); !usable)
    return fail(usable.error().code, "TensorRT: " + usable.error().message);
  IE_TRY(const infer::EngineIdentity identity, infer::engine_identity(job.model, job.options));
  IE_CHECK(make_folders(std::string(parent_path(engine))));
  IE_TRY(const auto lock, models::FolderLock::take(engine + ".lock", interruption()));
  IE_TRY(const TemporaryFolder work, TemporaryFolder::at(engine + ".building"));
  IE_TRY(job.model, graph_for(job, context, flags, inputs, work.path()));
  const std::string timings = join_path(cache_home(), "engines");
  if (make_folders(timings, 0700)) job.options.tensorrt->cache_folder = timings;
  EngineRecord record;
  {
    Waiting waiting(printable(file_name(engine)), !context.quiet);
    const infer::BuildWatch watch{[&](double seconds) { waiting.update(seconds); }, interruption()};
    auto built = infer::build_engine(job, work.path(), watch);
    if (!built)
      return fail(built.error().code, fmt::format("{}: {}", printable(flags.onnx), first_line_of(built.error())));
    record = std::move(*built);
  }
  record.identity = identity;
  IE_CHECK(infer::publish_engine(join_path(work.path(), infer::kBuiltEngine), engine, record));
  IE_TRY(record, infer::read_engine_record(engine));
  std::string loader = infer::loader_of(engine);
  if (flags.format == "epcontext") {
    if (::rename(loader.c_str(), output.c_str()) != 0) return fail(errno_error("cannot write " + printable(output)));
    loader = output;
  }
  report(context, engine, loader, record);
  return kDone;
}

Result<int> build_here(const ConvertToTensorrtFlags& flags) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // the waiting process is gone, and nobody would use the engine
  IE_TRY(const infer::EngineJob job, job_of(flags));
  IE_CHECK(infer::build_engine_here(job, absolute_path(flags.output)));
  return kDone;
}

}  // namespace

Action setup_convert_to_tensorrt(Arguments app, Settings&) {
  auto flags = std::make_shared<ConvertToTensorrtFlags>();
  app.footer(kConvertToTensorrtExamples);
  app.add_option("--onnx", flags->onnx, "The model").type_name("FILE").required();
  app.add_option("--output", flags->output, "The engine; clip_vision_fp16.trt or detr_fp16.trt by the model")
      .type_name("FILE");
  app.add_option("--precision", flags->precision, "fp32, fp16 (the default) or int8").type_name("P");
  app.add_option("--max-batch-size", flags->most, "The largest batch; 16, of DETR 8").type_name("N");
  app.add_option("--optimum-batch", flags->best, "The batch to optimize for; 8").type_name("N");
  app.add_option("--workspace-gb", flags->workspace_gb, "Most GPU memory of a layer; 4").type_name("N");
  app.add_option("--calibration", flags->calibration, "int8: photos like yours; or samples, INDEX-INPUT.npy")
      .type_name("DIR");
  app.add_option("--model", flags->model, "int8: the registry's model, for its preprocessing").type_name("NAME");
  app.add_option("--format", flags->format, "engine, or epcontext: an ONNX model that names the engine")
      .one_of({"engine", "epcontext"})
      .type_name("KIND");
  app.add_option("--dimension", flags->dimensions, "Fixes a named dimension of an input; may be repeated")
      .type_name("NAME=SIZE")
      .one_value_each();
  // Of the process that a build runs in.
  app.add_flag("--here", flags->here).hide();
  app.add_option("--gpu", flags->gpu).hide();
  app.add_option("--least-batch", flags->least).hide();
  app.add_option("--workspace-bytes", flags->workspace_bytes).hide();
  return [=](Context& context) -> Result<int> {
    if (flags->here) return build_here(*flags);
    IE_CHECK(catch_interrupts());
    return convert(context, *flags);
  };
}

}  // namespace image_engine::cli
