// bench-infer: pictures a second through infer::Session, the model's own computing, on the CPU or a GPU.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>
#include <vector>

#include "gpu/cuda.h"
#include "infer/made_graphs.h"
#include "infer/provider.h"
#include "infer/session.h"
#include "infer/sharing_session.h"

namespace {

using namespace image_engine;
using Clock = std::chrono::steady_clock;

struct Flags {
  std::string model, device = "cpu", input, output, made, precision = "fp16";
  std::vector<std::string> chained{"no"};
  std::vector<std::string> fixed;
  std::vector<int> gpus{0};
  std::int64_t batch = 1, side = 224;
  int streams = 1, rounds = 5;
  double seconds = 3;
  bool copies = false, heuristic = false;
  infer::SessionOptions session;
};

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// Random numbers, or what a file of floats holds, over and over.
std::vector<Tensor> inputs_of(const infer::Session& session, const Flags& flags) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::ifstream file(flags.input, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<Tensor> inputs;
  for (const infer::TensorInfo& info : session.inputs()) {
    std::vector<std::int64_t> shape = info.shape;
    for (std::size_t i = 0; i < shape.size(); ++i)
      if (shape[i] < 0) shape[i] = i == 0 ? flags.batch : flags.side;
    Tensor& tensor = inputs.emplace_back(Tensor::zeros(info.type, std::move(shape)));
    if (!bytes.empty() && inputs.size() == 1)
      for (std::size_t i = 0; i < tensor.data.size(); ++i)
        tensor.data[i] = static_cast<std::byte>(bytes[i % bytes.size()]);
    else if (info.type == ElementType::kFloat32)
      for (float& value : tensor.as<float>()) value = normal(random);
    else if (info.type == ElementType::kInt64)
      for (std::int64_t& value : tensor.as<std::int64_t>()) value = 1;
  }
  return inputs;
}

// One round: STREAMS threads that run the session for a while; pictures a second.
Result<double> round_of(const infer::Session& session, const std::vector<Tensor>& inputs, const Flags& flags) {
  std::atomic<std::int64_t> runs = 0;
  std::atomic<bool> failed = false;
  const double seconds = flags.seconds / flags.rounds;
  const Clock::time_point begin = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < flags.streams; ++i)
      threads.emplace_back([&] {
        while (since(begin) < seconds && !failed) {
          if (!session.run(inputs)) failed = true;
          ++runs;
        }
      });
  }
  if (failed) return fail(ErrorCode::kInternal, "a run failed");
  return static_cast<double>(runs * inputs.front().shape[0]) / since(begin);
}

// The same with inputs that stay on the GPU: a run a stream, the GPU never idle.
Result<double> resident_round(std::vector<std::unique_ptr<infer::ResidentRun>>& runs, std::int64_t rows, int times) {
  std::atomic<bool> failed = false;
  const Clock::time_point begin = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (auto& run : runs)
      threads.emplace_back([&] {
        if (!run->compute(times)) failed = true;
      });
  }
  if (failed) return fail(ErrorCode::kInternal, "a run failed");
  return static_cast<double>(static_cast<std::int64_t>(runs.size()) * times * rows) / since(begin);
}

Result<std::vector<double>> measure_resident(const infer::Session& session, const std::vector<Tensor>& inputs,
                                             const Flags& flags) {
  std::vector<std::unique_ptr<infer::ResidentRun>> runs;
  for (int i = 0; i < flags.streams; ++i) {
    IE_TRY(auto run, session.resident(inputs));
    IE_CHECK(run->compute(5));
    runs.push_back(std::move(run));
  }
  const Clock::time_point begin = Clock::now();
  IE_CHECK(runs.front()->compute(3));
  const int times = std::max(1, static_cast<int>(3 * flags.seconds / flags.rounds / flags.streams / since(begin)));
  std::vector<double> rates;
  for (int i = 0; i < flags.rounds; ++i) {
    IE_TRY(rates.emplace_back(), resident_round(runs, inputs.front().shape[0], times));
  }
  return rates;
}

Result<std::vector<double>> measure_copies(const infer::Session& session, const std::vector<Tensor>& inputs,
                                           const Flags& flags) {
  std::vector<double> rates;
  for (int i = 0; i < flags.rounds; ++i) {
    IE_TRY(rates.emplace_back(), round_of(session, inputs, flags));
  }
  return rates;
}

Status write_outputs(const std::vector<Tensor>& outputs, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  for (const Tensor& tensor : outputs)
    file.write(reinterpret_cast<const char*>(tensor.data.data()), static_cast<std::streamsize>(tensor.data.size()));
  return file ? Status{} : Status(fail(ErrorCode::kIo, "cannot write " + path));
}

constexpr std::pair<std::string_view, infer::Chained> kChained[] = {
    {"no", infer::Chained::kNot}, {"first", infer::Chained::kChannelsFirst}, {"last", infer::Chained::kChannelsLast}};

// Runs the graph that the program makes of the model, with or without our operators.
Status take_made_graph(const std::string& chained, Flags& flags) {
  const auto* row = std::ranges::find(kChained, chained, &std::pair<std::string_view, infer::Chained>::first);
  if (row == std::end(kChained)) return fail(ErrorCode::kInvalidArgument, "--chained takes no, first and last");
  flags.session.own_operators = row->second != infer::Chained::kNot;
  if (flags.session.own_operators) flags.session.nhwc = row->second == infer::Chained::kChannelsLast;
  IE_TRY(flags.model, infer::made_graph({.source = flags.model,
                                         .precision = flags.precision,
                                         .batch = flags.batch,
                                         .folder = flags.made,
                                         .chained = row->second}));
  return {};
}

// Of all numbers of float32 outputs.
double cosine(const std::vector<Tensor>& some, const std::vector<Tensor>& others) {
  double product = 0, some_square = 0, other_square = 0;
  for (std::size_t i = 0; i < some.size(); ++i) {
    if (some[i].type != ElementType::kFloat32) continue;
    const auto a = some[i].as<float>(), b = others[i].as<float>();
    for (std::size_t k = 0; k < a.size(); ++k) {
      product += double{a[k]} * b[k];
      some_square += double{a[k]} * a[k];
      other_square += double{b[k]} * b[k];
    }
  }
  return product / std::sqrt(some_square * other_square);
}

// On all its GPUs.
Result<std::unique_ptr<infer::Session>> open_session(const Flags& flags) {
  std::vector<std::unique_ptr<infer::Session>> sessions;
  for (const int gpu : flags.gpus) {
    infer::SessionOptions options = flags.session;
    options.device = gpu;
    IE_TRY(sessions.emplace_back(), infer::Session::create(flags.model, options));
  }
  if (sessions.size() == 1) return std::move(sessions.front());
  return infer::make_sharing(std::move(sessions), flags.session.lanes);
}

// `reference`: the outputs that others are compared with; set where it is empty.
Result<nlohmann::json> measure(Flags flags, std::vector<Tensor>& reference) {
  for (const std::string& text : flags.fixed)
    flags.session.fixed_dimensions.emplace_back(text.substr(0, text.find('=')),
                                                std::atoll(text.substr(text.find('=') + 1).c_str()));
  const bool gpu = flags.device != "cpu";
  std::size_t free_before = 0;
  if (gpu) {
    flags.session.provider = infer::Provider::kCuda;
    flags.session.search_convolutions = !flags.heuristic;
    if (flags.device.starts_with("cuda:")) flags.gpus = {std::stoi(flags.device.substr(5))};
    flags.session.device = flags.gpus.front();
    flags.session.lanes = std::max(1, flags.streams / static_cast<int>(flags.gpus.size()));
    IE_CHECK(infer::check_provider(flags.session.provider));
    IE_TRY(const gpu::MemoryInfo memory, gpu::memory_info(flags.session.device));
    free_before = memory.free;
  }
  const Clock::time_point begin = Clock::now();
  IE_TRY(const auto session, open_session(flags));
  const double load = since(begin);
  if (const std::size_t rows = session->placement().rows; rows > 0) flags.batch = static_cast<std::int64_t>(rows);
  const std::vector<Tensor> inputs = inputs_of(*session, flags);
  const Clock::time_point first_begin = Clock::now();
  IE_TRY(const std::vector<Tensor> outputs, session->run(inputs));
  const double first = since(first_begin);
  if (!flags.output.empty()) IE_CHECK(write_outputs(outputs, flags.output));
  if (reference.empty()) reference = outputs;
  const std::clock_t cpu = std::clock();
  const Clock::time_point all = Clock::now();
  const bool stay = gpu && !flags.copies;
  IE_TRY(std::vector<double> rates,
         stay ? measure_resident(*session, inputs, flags) : measure_copies(*session, inputs, flags));
  const double cores = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC / since(all);
  const infer::Placement placement = session->placement();
  nlohmann::json row = {{"model", flags.model},
                        {"provider", placement.provider},
                        {"device", placement.device},
                        {"nodes", placement.nodes},
                        {"batch", inputs.front().shape[0]},
                        {"streams", flags.streams},
                        {"gpus", flags.gpus},
                        {"graph", flags.session.cuda_graph},
                        {"nhwc", flags.session.nhwc},
                        {"fuse", flags.session.fuse_convolutions},
                        {"copies", !stay},
                        {"cosine_to_first", cosine(reference, outputs)},
                        {"images_per_second", median(rates)},
                        {"least", *std::ranges::min_element(rates)},
                        {"most", *std::ranges::max_element(rates)},
                        {"cpu_ms_per_image", 1000 * cores / median(rates)},
                        {"load_seconds", load},
                        {"first_run_seconds", first}};
  if (gpu)
    if (const auto memory = gpu::memory_info(flags.session.device))
      row["gpu_memory_mb"] = (static_cast<double>(free_before) - static_cast<double>(memory->free)) / 1e6;
  return row;
}

// A row for each way to run chains of elementwise nodes.
Status measure_all(const Flags& flags) {
  std::vector<Tensor> reference;
  for (const std::string& chained : flags.chained) {
    Flags these = flags;
    if (!flags.made.empty()) IE_CHECK(take_made_graph(chained, these));
    IE_TRY(nlohmann::json row, measure(these, reference));
    if (!flags.made.empty()) row["chained"] = chained;
    fmt::print("{}\n", row.dump());
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Pictures a second of a model's own computing; one line of JSON"};
  Flags flags;
  app.add_option("model", flags.model, "An ONNX file")->required();
  app.add_option("--device", flags.device, "cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--gpus", flags.gpus, "With --device cuda: those that share the work, 0,1,…")->delimiter(',');
  app.add_option("--batch", flags.batch, "Pictures in a run, where the file leaves it open")->capture_default_str();
  app.add_option("--fix", flags.fixed, "NAME=SIZE of an open dimension");
  app.add_option("--side", flags.side, "Of other open dimensions")->capture_default_str();
  app.add_option("--streams", flags.streams, "Runs at once")->check(CLI::Range(1, 64))->capture_default_str();
  app.add_option("--threads", flags.session.threads, "Inside a run on the CPU")->capture_default_str();
  app.add_option("--seconds", flags.seconds, "In all")->capture_default_str();
  app.add_option("--rounds", flags.rounds, "The median of so many is printed")->check(CLI::Range(1, 99));
  app.add_flag("--graph", flags.session.cuda_graph, "Record the GPU's work and replay it");
  app.add_flag("--nhwc", flags.session.nhwc, "Convolutions with channels last");
  app.add_flag("--fuse", flags.session.fuse_convolutions, "Convolutions fused with what is added to them");
  app.add_flag("--heuristic", flags.heuristic, "Ask cuDNN for algorithms instead of timing them");
  app.add_flag("--copies", flags.copies, "With the copies to and from the GPU");
  app.add_option("--input", flags.input, "Floats of the first input, as they are in memory");
  app.add_option("--output", flags.output, "Write the first run's outputs there, as they are in memory");
  auto* made =
      app.add_option("--made", flags.made, "Run the graph that the program makes of the model, kept in this folder");
  app.add_option("--precision", flags.precision, "With --made: fp16 or fp32")->needs(made)->capture_default_str();
  app.add_option("--chained", flags.chained,
                 "With --made: no, first or last, in turn (operators of ours, with channels first or last)")
      ->needs(made)
      ->delimiter(',');
  CLI11_PARSE(app, argc, argv);
  const Status done = measure_all(flags);
  if (!done) fmt::print(stderr, "bench-infer: {}\n", done.error().message);
  return done ? 0 : 1;
}
