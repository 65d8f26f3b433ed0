// bench-infer MODEL.onnx [BATCH [STREAMS [THREADS [SECONDS]]]]: pictures a second through infer::Session, the model's
// own computing only; on standard error the processor time that one took. STREAMS threads run one session at once, each
// run on THREADS cores. Inputs are random numbers; free dimensions but the first are 224.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <thread>
#include <vector>

#include "infer/session.h"

namespace {

using namespace image_engine;
using Clock = std::chrono::steady_clock;

std::vector<Tensor> random_inputs(const infer::Session& session, std::int64_t batch) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<Tensor> inputs;
  for (const infer::TensorInfo& info : session.inputs()) {
    std::vector<std::int64_t> shape = info.shape;
    for (std::size_t i = 0; i < shape.size(); ++i)
      if (shape[i] < 0) shape[i] = i == 0 ? batch : 224;
    Tensor& tensor = inputs.emplace_back(Tensor::zeros(info.type, std::move(shape)));
    if (info.type == ElementType::kFloat32)
      for (float& value : tensor.as<float>()) value = normal(random);
  }
  return inputs;
}

struct Speed {
  double rate = 0;    // pictures a second
  double cpu_ms = 0;  // processor time of a picture
};

Result<Speed> pictures_a_second(const infer::Session& session, std::int64_t batch, int streams, double seconds) {
  const std::vector<Tensor> inputs = random_inputs(session, batch);
  IE_TRY([[maybe_unused]] const auto warm, session.run(inputs));
  std::atomic<std::int64_t> runs = 0;
  std::atomic<bool> failed = false;
  const std::clock_t cpu = std::clock();
  const Clock::time_point begin = Clock::now();
  const auto spent = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < streams; ++i)
      threads.emplace_back([&] {
        while (spent() < seconds && !failed) {
          if (!session.run(inputs)) failed = true;
          ++runs;
        }
      });
  }
  if (failed) return fail(ErrorCode::kInternal, "a run failed");
  const auto pictures = static_cast<double>(runs * batch);
  return Speed{pictures / spent(), 1e3 * static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC / pictures};
}

Result<Speed> measure(int argc, char** argv) {
  const auto number = [&](int i, double otherwise) { return argc > i ? std::atof(argv[i]) : otherwise; };
  infer::SessionOptions options;
  options.threads = static_cast<int>(number(4, 1));
  IE_TRY(const auto session, infer::Session::create(argv[1], options));
  return pictures_a_second(*session, static_cast<std::int64_t>(number(2, 1)), static_cast<int>(number(3, 1)),
                           number(5, 3));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench-infer MODEL.onnx [BATCH [STREAMS [THREADS [SECONDS]]]]\n");
    return 2;
  }
  const auto speed = measure(argc, argv);
  if (!speed) {
    std::fprintf(stderr, "bench-infer: %s\n", speed.error().message.c_str());
    return 1;
  }
  std::printf("%.2f\n", speed->rate);
  std::fprintf(stderr, "%.2f ms of processor time a picture\n", speed->cpu_ms);
  return 0;
}
