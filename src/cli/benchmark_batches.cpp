#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "benchmark/batches.h"
#include "cli/app.h"
#include "cli/benchmark.h"
#include "cli/chart.h"
#include "cli/output.h"
#include "core/file.h"
#include "core/text.h"

namespace image_engine::cli {
namespace {

using benchmark::BatchesReport;
using benchmark::BatchRow;
using nlohmann::json;

struct BenchmarkBatchesFlags {
  std::string model, images, output, plot;
  std::size_t limit = 100;
  std::int64_t most = 0;
};

json report_json(const BatchesReport& report) {
  json rows = json::array();
  for (const BatchRow& row : report.rows) {
    json one = {{"batch", row.batch}, {"images", row.images}};
    if (!row.note.empty()) one["note"] = to_utf8(row.note);
    if (row.total > 0)
      one.update({{"total", rounded(row.total, 9)},
                  {"images_per_second", rounded(row.images_per_second(), 3)},
                  {"memory_mb", rounded(row.memory_mb, 1)},
                  {"best", row.batch == report.best}});
    rows.push_back(std::move(one));
  }
  const benchmark::Machine& machine = report.machine;
  json out = {
      {"benchmark", "batch-size"},
      {"version", IE_VERSION},
      {"machine",
       {{"cpu", machine.cpu}, {"cores", machine.cores}, {"gpus", machine.gpus}, {"onnxruntime", machine.runtime}}},
      {"model", report.model},
      {"device", report.device},
      {"folder", to_utf8(report.folder)},
      {"images", report.images},
      {"remembered", report.remembered},
      {"rows", rows}};
  if (report.best > 0) out["best"] = report.best;
  return out;
}

void print_report(const BatchesReport& report) {
  print_line(fmt::format("{} on {}, {} of {}", report.model, report.device, human_count(report.images, "photo"),
                         printable(report.folder)));
  std::vector<std::vector<std::string>> table = {{"batch", "time s", "images/s", "memory MB", ""}};
  for (const BatchRow& row : report.rows) {
    const std::string mark = row.batch == report.best ? "best" : "";
    const std::string note = printable(row.note) + (row.note.empty() || mark.empty() ? "" : "; ") + mark;
    if (row.total > 0)
      table.push_back({std::to_string(row.batch), fmt::format("{:.2f}", row.total),
                       fmt::format("{:.1f}", row.images_per_second()), fmt::format("{:.0f}", row.memory_mb), note});
    else
      table.push_back({std::to_string(row.batch), "", "", "", note});
  }
  print_table(table, {0, 1, 2, 3});
  if (report.remembered) print_line("analyze uses the best from now on, unless the configuration overrides it");
}

std::string plot_of(const BatchesReport& report) {
  std::vector<ChartPoint> points;
  for (const BatchRow& row : report.rows)
    if (row.total > 0)
      points.push_back({static_cast<double>(row.batch), row.images_per_second(), row.batch == report.best});
  return line_chart(fmt::format("{} on {}", report.model, report.device), "pictures in a run", "images per second",
                    points);
}

Result<int> benchmark_batches(const BenchmarkBatchesFlags& flags, const Context& context) {
  IE_CHECK(catch_interrupts());
  benchmark::BatchesBenchmark options;
  options.config = context.config;
  options.paths = models::find_install_paths(context.config.models.folder);
  options.model = flags.model;
  options.images = flags.images;
  options.limit = flags.limit;
  options.most = flags.most;
  options.progress = !context.quiet;
  options.stop = interruption();
  IE_TRY(const BatchesReport report, benchmark::benchmark_batches(options));
  const json document = report_json(report);
  if (!flags.output.empty()) IE_CHECK(write_json("benchmark-batch-size", document, flags.output));
  if (!flags.plot.empty()) IE_CHECK(write_file_atomically(absolute_path(flags.plot), plot_of(report)));
  if (context.json)
    print_json("benchmark-batch-size", document);
  else if (!context.quiet)
    print_report(report);
  return kDone;
}

}  // namespace

Action setup_benchmark_batches(Arguments app) {
  auto flags = std::make_shared<BenchmarkBatchesFlags>();
  app.add_option("--model", flags->model, "The model; without it the one that analyze uses for vectors")
      .type_name("NAME");
  app.add_option("--images", flags->images, "Photos to measure on; without it the samples of the source tree")
      .type_name("DIR");
  app.add_option("-o,--output", flags->output, "Write the results as JSON").type_name("FILE");
  app.add_option("--plot", flags->plot, "Draw images per second over the batch size as SVG").type_name("FILE");
  app.add_option("--limit", flags->limit, "Most photos").range(1, 100'000).show_default();
  app.add_option("--most", flags->most, "The largest batch; without it 256 on a GPU, 64 on the CPU").range(1, 1024);
  return [=](Context& context) -> Result<int> { return benchmark_batches(*flags, context); };
}

}  // namespace image_engine::cli
