#include "benchmark/peers.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/json.h"
#include "core/temporary_folder.h"
#include "core/text.h"
#include "models/python.h"
#include "models/tasks.h"

namespace image_engine::benchmark {
namespace {

using nlohmann::json;

constexpr std::chrono::minutes kLimit{30};  // torch.compile may take many

// Networks of the same architecture in tools/peers/torch_nets.py, by the registry's names.
struct NetRow {
  std::string_view model, net;
};
constexpr NetRow kNets[] = {{"clip-vit-b-32", "clip-vit-b32"},
                            {"clip-datacomp-xl-b-32", "clip-vit-b32"},
                            {"detr-resnet-50", "detr-r50"},
                            {"dfine-s", "dfine-s"}};

std::string type_name(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return "float32";
    case ElementType::kFloat16:
      return "float16";
    case ElementType::kInt64:
      return "int64";
    case ElementType::kInt32:
      return "int32";
    case ElementType::kUint8:
      return "uint8";
    case ElementType::kBool:
      return "bool";
  }
  return "float32";
}

// "NAME=float32:8,3,224,224:FILE", as the peer expects it.
Result<std::string> written(const std::string& folder, const std::string& name, const Tensor& tensor) {
  const std::string file = join_path(folder, fmt::format("{}.bin", std::hash<std::string>()(name)));
  IE_CHECK(write_file_atomically(file, std::span<const std::byte>(tensor.data)));
  return fmt::format("{}={}:{}:{}", name, type_name(tensor.type), fmt::join(tensor.shape, ","), file);
}

std::string peers_folder(const models::InstallPaths& paths) { return absolute_path(paths.tools + "/../peers"); }

Result<std::vector<std::string>> torch_command(const PeerWay& way, const PeerRequest& request,
                                               const BenchmarkNet& net) {
  const auto row = std::ranges::find(kNets, std::string_view(net.spec().name), &NetRow::model);
  if (row == std::end(kNets))
    return fail(ErrorCode::kUnsupported, "tools/peers has no network of its kind for PyTorch");
  return std::vector<std::string>{join_path(peers_folder(request.paths), "torch_models.py"),
                                  "time",
                                  "--model",
                                  std::string(row->net),
                                  "--backends",
                                  way.way,
                                  "--batches",
                                  std::to_string(net.batch())};
}

Result<std::vector<std::string>> onnx_command(const PeerWay& way, const PeerRequest& request, const BenchmarkNet& net,
                                              const SamplePictures& samples, const std::string& scratch) {
  IE_TRY(const BenchmarkNet::Example example, net.example(samples));
  std::vector<std::string> command = {join_path(peers_folder(request.paths), "onnx_file.py"),
                                      "--file",
                                      absolute_path(request.file),
                                      "--provider",
                                      way.way,
                                      "--threads",
                                      std::to_string(request.threads)};
  const auto& inputs = net.session().inputs();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    IE_TRY(std::string input, written(scratch, inputs[i].name, example.inputs[i]));
    command.insert(command.end(), {"--input", std::move(input)});
  }
  if (models::task_of(net.spec().task).rows_in_any_order) return command;
  const std::string output = net.spec().outputs.empty() ? net.session().outputs()[0].name : net.spec().outputs[0];
  IE_TRY(std::string wanted, written(scratch, output, example.output));
  command.insert(command.end(), {"--expected", std::move(wanted)});
  return command;
}

double number(const json& row, const char* name) {
  const auto found = row.find(name);
  return found != row.end() && found->is_number() ? found->get<double>() : 0;
}

void read_row(const std::string& printed, ModelRow& row) {
  const json result = parse_json(printed.substr(0, printed.find('\n')));
  if (!result.is_object()) {
    row.note = "its program printed no row";
    return;
  }
  if (const auto error = result.find("error"); error != result.end() && error->is_string()) {
    row.note = error->get<std::string>();
    return;
  }
  const double milliseconds = number(result, "ms_per_image");
  if (!(milliseconds > 0)) {
    row.note = "its program measured nothing";
    return;
  }
  row.total = milliseconds * static_cast<double>(row.images) / 1000;
  row.spread = number(result, "spread");
  row.warmup = number(result, "warmup");
  row.rounds = std::max(1, static_cast<int>(number(result, "rounds")));
  if (result.contains("gpu_memory_mb")) row.gpu_memory_mb = std::max(0.0, number(result, "gpu_memory_mb"));
  if (result.contains("deviation") && result["deviation"].is_number()) row.deviation = number(result, "deviation");
}

}  // namespace

const std::vector<PeerWay>& peer_ways() {
  static const std::vector<PeerWay> kWays = {
      {"onnxruntime-python-cpu", "fp32", "cpu", false}, {"onnxruntime-python-cuda", "fp32", "cuda", false},
      {"torch-eager", "fp32", "eager-fp32", true},      {"torch-eager", "fp16", "eager-fp16", true},
      {"torch-amp", "fp16", "amp-fp16", true},          {"torch-compile", "fp16", "compile-fp16", true}};
  return kWays;
}

Status measure_peer(const PeerWay& way, const PeerRequest& request, const BenchmarkNet& net,
                    const SamplePictures& samples, ModelRow& row) {
  if (request.python.empty()) {
    row.note = "name a Python that has it with --peers PYTHON";
    return {};
  }
  if (::access(peers_folder(request.paths).c_str(), R_OK) != 0) {
    row.note = "tools/peers is missing: it is part of the source tree";
    return {};
  }
  IE_TRY(const TemporaryFolder scratch, TemporaryFolder::create());
  const auto command =
      way.torch ? torch_command(way, request, net) : onnx_command(way, request, net, samples, scratch.path());
  if (!command) {
    row.note = command.error().message;
    return {};
  }
  const auto printed = models::run_script(request.python, command->front(), {command->begin() + 1, command->end()},
                                          kLimit, request.stop);
  if (!printed && printed.error().code == ErrorCode::kInterrupted) return fail(printed.error());
  if (printed)
    read_row(*printed, row);
  else
    row.note = printed.error().message;
  row.note = to_utf8(row.note);
  return {};
}

}  // namespace image_engine::benchmark
