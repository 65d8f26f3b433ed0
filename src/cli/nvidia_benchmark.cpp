// `nvidia benchmark`: compares the endpoint for vectors with the installed embedding model.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "benchmark/cloud.h"
#include "cli/analyze_cloud.h"
#include "cli/nvidia.h"
#include "cli/output.h"
#include "core/file.h"
#include "core/text.h"
#include "models/install_paths.h"
#include "nvidia/cloud_models.h"
#include "pipeline/cloud_ask.h"

namespace image_engine::cli {
namespace {

using benchmark::CloudBenchmarkReport;
using benchmark::EmbeddingRun;
using nlohmann::json;
using nvidia::Task;

constexpr char kNvidiaBenchmarkExamples[] = R"(
Examples:
  image-engine nvidia benchmark
  image-engine nvidia benchmark --images ~/Pictures --calls 200 --price-per-1000 0.5 -o nvclip.json
  NVIDIA_BASE_URL=http://localhost:8000 image-engine nvidia benchmark

Calls run one after the other, after an untimed one; waiting for slots of the allowed rate is not timed. The time of the
cloud model is from sending a prepared picture until its vector arrives; the local time is preparing a decoded picture
and running the model. Agreement compares vectors of the same pictures.)";

constexpr char kUnknownPrice[] = "unknown: the price is not published by the API (--price-per-1000)";

struct NvidiaBenchmarkFlags {
  std::string images, output, env_file, local_model = "auto";
  std::size_t calls = 100;
  std::optional<double> price;  // of 1,000 requests
  bool yes = false;
};

std::uint64_t requests_per_minute(const Context& context) {
  return static_cast<std::uint64_t>(context.config.nvidia_build.rate_limiting.max_requests_per_minute);
}

// Of 1,000 pictures.
std::optional<double> cost(const NvidiaBenchmarkFlags& flags, const CloudBenchmarkReport& report) {
  if (!flags.price) return std::nullopt;
  return *flags.price * report.requests_each;
}

json run_json(const EmbeddingRun& run) {
  return {{"model", run.model},
          {"device", to_utf8(run.device)},
          {"dimensions", run.dimensions},
          {"calls", run.seconds.size()},
          {"mean_ms", rounded(run.mean() * 1000, 3)},
          {"median_ms", rounded(run.quantile(0.5) * 1000, 3)},
          {"p95_ms", rounded(run.quantile(0.95) * 1000, 3)},
          {"pictures_per_second", rounded(1 / run.mean(), 3)}};
}

json report_json(const NvidiaBenchmarkFlags& flags, const Context& context, const CloudBenchmarkReport& report) {
  json out = {{"benchmark", "nvidia"},
              {"version", IE_VERSION},
              {"folder", to_utf8(report.folder)},
              {"pictures", report.pictures},
              {"passed_over", report.passed_over},
              {"cloud", run_json(report.cloud)},
              {"local", run_json(report.local)},
              {"requests", report.usage.requests},
              {"retries", report.usage.retries},
              {"sent_bytes", report.usage.sent_bytes},
              {"received_bytes", report.usage.received_bytes},
              {"requests_per_minute", requests_per_minute(context)}};
  const std::optional<double> price = cost(flags, report);
  out["cost_per_1000_pictures"] = price ? json(*price) : json();
  out["agreement"] = nullptr;
  if (const auto& found = report.agreement)
    out["agreement"] = {{"pictures", found->pictures},
                        {"neighbours", found->neighbours},
                        {"neighbour_overlap", rounded(found->overlap, 4)},
                        {"rank_correlation", rounded(found->correlation, 4)}};
  return out;
}

void print_report(const NvidiaBenchmarkFlags& flags, const Context& context, const CloudBenchmarkReport& report) {
  std::vector<std::vector<std::string>> rows = {
      {"model", "where", "numbers", "mean ms", "median", "p95", "pictures/s"}};
  for (const EmbeddingRun* run : {&report.cloud, &report.local})
    rows.push_back({printable(run->model), printable(run->device), std::to_string(run->dimensions),
                    fmt::format("{:.1f}", run->mean() * 1000), fmt::format("{:.1f}", run->quantile(0.5) * 1000),
                    fmt::format("{:.1f}", run->quantile(0.95) * 1000), fmt::format("{:.1f}", 1 / run->mean())});
  print_table(rows, {2, 3, 4, 5, 6});
  print_line(fmt::format("{} after an untimed one, {} of {}; the configuration allows {} per minute",
                         human_count(report.cloud.seconds.size(), "call"), human_count(report.pictures, "picture"),
                         printable(report.folder), human_count(requests_per_minute(context))));
  if (report.passed_over > 0)
    print_line(human_count(report.passed_over, "picture was", "pictures were") +
               " skipped: unreadable, or not to be sent");
  if (const auto& found = report.agreement)
    print_line(
        fmt::format("Agreement: {:.0f} % of the {} nearest neighbours are the same; the similarities of all "
                    "pairs have a rank correlation of {:.2f}",
                    found->overlap * 100, found->neighbours, found->correlation));
  else
    print_line("Agreement: not measured with fewer than three pictures");
  const std::optional<double> price = cost(flags, report);
  print_line(fmt::format("Sent: {} ({} retried), {}", human_count(report.usage.requests, "request"),
                         human_count(report.usage.retries), human_bytes(report.usage.sent_bytes)));
  print_line(fmt::format("Cost of 1,000 pictures: {}", price ? fmt::format("{:g}", *price) : kUnknownPrice));
}

// Whether so many requests may be sent; else prints the reason.
bool may_send(const NvidiaBenchmarkFlags& flags, const Context& context, const nvidia::CloudModels& cloud) {
  pipeline::CloudEstimate estimate;
  estimate.requests = (flags.calls + 1) * static_cast<std::size_t>(cloud.requests_each(Task::kEmbed));
  estimate.pictures = flags.calls;
  estimate.requests_per_minute = requests_per_minute(context);
  estimate.budget = static_cast<std::uint64_t>(context.config.nvidia_build.max_requests);
  CloudConsent consent(context, {.yes = flags.yes});
  if (consent.agree(estimate)) return true;
  std::fprintf(stderr, "image-engine: nothing was sent%s%s\n", consent.refusal().empty() ? "" : ": ",
               consent.refusal().c_str());
  return false;
}

Result<int> benchmark(const NvidiaBenchmarkFlags& flags, const Context& context) {
  IE_CHECK(catch_interrupts());
  benchmark::CloudBenchmark options;
  options.config = context.config;
  options.paths = models::find_install_paths(context.config.models.folder);
  options.catalogue = context.catalogue;
  options.images = flags.images;
  options.local_model = flags.local_model;
  options.calls = flags.calls;
  options.progress = !context.quiet;
  options.stop = interruption();
  // Before any thread or worker starts: nvidia/api_key.h.
  IE_TRY(const auto cloud,
         nvidia::CloudModels::open(context.config.nvidia_build,
                                   {.key_files = pipeline::key_files(context.catalogue, flags.env_file, {flags.images}),
                                    .tasks = {Task::kEmbed},
                                    .stop = interruption()}));
  if (!may_send(flags, context, *cloud)) return kUsage;
  IE_TRY(const CloudBenchmarkReport report, benchmark::benchmark_cloud(options, *cloud));
  const json document = report_json(flags, context, report);
  if (!flags.output.empty()) IE_CHECK(write_json("nvidia-benchmark", document, flags.output));
  if (context.json)
    print_json("nvidia-benchmark", document);
  else if (!context.quiet)
    print_report(flags, context, report);
  return kDone;
}

}  // namespace

Action setup_nvidia_benchmark(Arguments app) {
  auto flags = std::make_shared<NvidiaBenchmarkFlags>();
  app.add_option("--calls", flags->calls, "Number of timed calls").range(1, 100'000).show_default().type_name("N");
  app.add_option("--images", flags->images, "Photos to send; without it the samples of the source tree")
      .type_name("DIR");
  app.add_option("--local-model", flags->local_model, "The installed model to compare with; auto: the best")
      .type_name("NAME|auto");
  app.add_option("--price-per-1000", flags->price, "The price of 1,000 requests, in your currency")
      .not_negative()
      .type_name("X");
  app.add_flag("--yes", flags->yes, "Do not ask before many requests are sent");
  app.add_option("--env-file", flags->env_file, "A file with the line NVIDIA_API_KEY=…").type_name("FILE");
  app.add_option("-o,--output", flags->output, "Write the results as JSON").type_name("FILE");
  app.footer(kNvidiaBenchmarkExamples);
  return [flags](Context& context) { return benchmark(*flags, context); };
}

}  // namespace image_engine::cli
