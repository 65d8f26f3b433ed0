// Asks a server as often as it is told, with the cloud's client, and prints how long that took as JSON.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <thread>
#include <vector>

#include "nvidia/client.h"

namespace {

using namespace image_engine;

struct Options {
  std::string url, state;
  int requests = 800, threads = 8;
  size_t bytes = 60'000;
  double rate = 0;
};

int run(const Options& options) {
  nvidia::ClientOptions client_options;
  client_options.requests_per_minute = options.rate;
  client_options.state_folder = options.state;
  auto client = nvidia::Client::create(std::move(client_options));
  if (!client) {
    fmt::print(stderr, "{}\n", client.error().message);
    return 1;
  }
  nvidia::Request request;
  request.endpoint = "bench";
  request.url = options.url;
  request.headers = {{"Content-Type", "application/json"}};
  request.body.assign(options.bytes, 'x');
  std::atomic<int> next = 0, failed = 0;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (int i = 0; i < options.threads; ++i)
    threads.emplace_back([&] {
      while (next++ < options.requests)
        if (!(*client)->send(request)) ++failed;
    });
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  fmt::print("{{\"seconds\": {:.4f}, \"failed\": {}}}\n", seconds.count(), failed.load());
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  Options options;
  CLI::App app("The cloud's client against a server");
  app.add_option("URL", options.url)->required();
  app.add_option("--state", options.state, "Folder of the pacing")->required();
  app.add_option("--requests", options.requests, "How many");
  app.add_option("--threads", options.threads, "At once");
  app.add_option("--bytes", options.bytes, "Of each request's body");
  app.add_option("--rate", options.rate, "Requests a minute; 0: as many as go");
  CLI11_PARSE(app, count, arguments);
  return run(options);
}
