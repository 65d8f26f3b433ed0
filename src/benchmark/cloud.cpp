#include "benchmark/cloud.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "benchmark/pictures.h"
#include "core/elapsed.h"
#include "core/progress.h"
#include "core/text.h"
#include "infer/choose.h"
#include "models/http_exchange.h"
#include "pipeline/cloud_ask.h"
#include "pipeline/installed_models.h"
#include "vision/embedder.h"

namespace image_engine::benchmark {
namespace {

using pipeline::InstalledModels;
using Vectors = std::vector<std::vector<float>>;

constexpr std::size_t kNeighbours = 10;
constexpr std::size_t kFewest = 3;  // pictures that can agree in anything

// Cosines of all pairs, row by row; a picture with itself gets the lowest value.
std::vector<double> similarities(std::span<const std::vector<float>> vectors) {
  const std::size_t n = vectors.size();
  std::vector<double> all(n * n, -INFINITY);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = 0; k < n; ++k)
      if (i != k) all[i * n + k] = std::inner_product(vectors[i].begin(), vectors[i].end(), vectors[k].begin(), 0.0);
  return all;
}

// Indices of the greatest, sorted.
std::vector<std::size_t> nearest_indices(std::span<const double> row, std::size_t count) {
  std::vector<std::size_t> order(row.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater{}, [&](std::size_t i) { return row[i]; });
  order.resize(count);
  std::ranges::sort(order);
  return order;
}

// Equal values share the mean of their ranks.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> all(values.size());
  for (std::size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    for (std::size_t i = begin; i < end; ++i) all[order[i]] = static_cast<double>(begin + end - 1) / 2;
  }
  return all;
}

// 0 where one of them does not vary.
double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double mean = static_cast<double>(a.size() - 1) / 2;  // of ranks
  double product = 0, square_a = 0, square_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    product += (a[i] - mean) * (b[i] - mean);
    square_a += (a[i] - mean) * (a[i] - mean);
    square_b += (b[i] - mean) * (b[i] - mean);
  }
  return square_a > 0 && square_b > 0 ? product / std::sqrt(square_a * square_b) : 0;
}

std::vector<double> above_diagonal(const std::vector<double>& matrix, std::size_t n) {
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t k = i + 1; k < n; ++k) values.push_back(matrix[i * n + k]);
  return values;
}

class CloudBench {
 public:
  CloudBench(const CloudBenchmark& options, nvidia::CloudModels& cloud, InstalledModels models)
      : options_(options), cloud_(cloud), models_(std::move(models)) {}

  Result<CloudBenchmarkReport> run() {
    IE_CHECK(load_local());
    IE_CHECK(load_pictures());
    IE_TRY(const Vectors theirs, ask());
    IE_TRY(const Vectors ours, embed_local());
    if (theirs.size() >= kFewest) report_.agreement = agreement_of(theirs, ours);
    report_.usage = cloud_.client().usage();
    report_.requests_each = cloud_.requests_each(nvidia::Task::kEmbed);
    return std::move(report_);
  }

 private:
  Status load_local() {
    IE_TRY(const models::Spec* const spec, models_.find("embedding", options_.local_model));
    IE_TRY(infer::Chosen chosen, models_.picture_session(*spec, static_cast<int>(options_.config.worker_count())));
    report_.local.model = fmt::format("{} {}", spec->name, chosen.precision);
    report_.local.device = chosen.session->placement().device;
    IE_TRY(embedder_, vision::ImageEmbedder::create(*spec, std::move(chosen.session)));
    return {};
  }

  // Those that may be sent, prepared for the local model and for sending.
  Status load_pictures() {
    const SampleRequest request{options_.images, options_.calls, preprocess::wanted_edge(embedder_->plan()),
                                options_.progress, options_.stop};
    IE_TRY(SamplePictures samples, load_samples(request, options_.config));
    IE_TRY(pipeline::PickedPhotos photos, pipeline::PickedPhotos::open(options_.config, options_.catalogue));
    report_.folder = samples.folder;
    report_.passed_over = samples.unreadable;
    std::string why;
    for (SamplePicture& sample : samples.pictures) {
      if (options_.stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
      Result<nvidia::Picture> picture = photos.show(sample.path, cloud_.endpoint(nvidia::Task::kEmbed));
      if (!picture) {
        ++report_.passed_over;
        why = picture.error().message;
        continue;
      }
      picture->content = {};  // timed requests are always sent, never cached
      sent_.push_back(std::move(*picture));
      decoded_.push_back(std::move(sample));
    }
    if (sent_.empty()) return fail(ErrorCode::kNotFound, "there is no picture to send: " + why);
    report_.pictures = sent_.size();
    return {};
  }

  // A server that rejects the request is not the caller's error.
  Result<std::vector<float>> embed_there(const nvidia::Picture& picture) {
    auto answered = cloud_.embed(picture);
    if (answered) return std::move(answered->answer);
    Error error = std::move(answered).error();
    if (error.code == ErrorCode::kInvalidArgument) error.code = ErrorCode::kUnsupported;
    return fail(std::move(error));
  }

  // One untimed call, then all; returns one vector for each picture.
  Result<Vectors> ask() {
    EmbeddingRun& run = report_.cloud;
    const nvidia::Endpoint& endpoint = cloud_.endpoint(nvidia::Task::kEmbed);
    run.model = endpoint.model.empty() ? endpoint.name : endpoint.model;
    run.device = models::without_secrets(endpoint.url);
    IE_CHECK(embed_there(sent_.front()));
    Progress progress("Cloud", options_.calls, options_.progress);
    Vectors vectors;
    for (std::size_t call = 0; call < options_.calls; ++call) {
      const double waited = cloud_.client().usage().waited_seconds;
      const auto start = std::chrono::steady_clock::now();
      IE_TRY(std::vector<float> vector, embed_there(sent_[call % sent_.size()]));
      run.seconds.push_back(seconds_since(start) - (cloud_.client().usage().waited_seconds - waited));
      progress.add();
      if (vectors.size() < sent_.size()) vectors.push_back(std::move(vector));
    }
    return measured(run, std::move(vectors));
  }

  Result<Vectors> embed_local() {
    EmbeddingRun& run = report_.local;
    const auto embed = [&](const SamplePicture& sample) {
      const Image& picture = sample.picture;
      return embedder_->embed({picture.width, picture.height, picture.pixels}, sample.full);
    };
    IE_CHECK(embed(decoded_.front()));
    Progress progress("Here", options_.calls, options_.progress);
    Vectors vectors;
    for (std::size_t call = 0; call < options_.calls; ++call) {
      if (options_.stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
      const auto start = std::chrono::steady_clock::now();
      IE_TRY(vision::Embedding vector, embed(decoded_[call % decoded_.size()]));
      run.seconds.push_back(seconds_since(start));
      progress.add();
      if (vectors.size() < decoded_.size()) vectors.push_back(std::move(vector));
    }
    return measured(run, std::move(vectors));
  }

  static Result<Vectors> measured(EmbeddingRun& run, Vectors vectors) {
    run.dimensions = vectors.front().size();
    for (const std::vector<float>& vector : vectors)
      if (vector.size() != run.dimensions)
        return fail(ErrorCode::kCorrupt, run.model + ": vectors of one model are not of one size");
    std::ranges::sort(run.seconds);
    return vectors;
  }

  const CloudBenchmark& options_;
  nvidia::CloudModels& cloud_;
  InstalledModels models_;
  std::optional<vision::ImageEmbedder> embedder_;
  std::vector<nvidia::Picture> sent_;
  std::vector<SamplePicture> decoded_;  // of the same photos
  CloudBenchmarkReport report_;
};

}  // namespace

double EmbeddingRun::mean() const {
  return std::accumulate(seconds.begin(), seconds.end(), 0.0) / static_cast<double>(seconds.size());
}

double EmbeddingRun::quantile(double share) const {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(seconds.size())));
  return seconds[std::clamp<std::size_t>(rank, 1, seconds.size()) - 1];
}

CloudAgreement agreement_of(std::span<const std::vector<float>> a, std::span<const std::vector<float>> b) {
  const std::size_t n = a.size();
  CloudAgreement found{n, std::min(kNeighbours, n - 1)};
  const std::vector<double> in_a = similarities(a), in_b = similarities(b);
  std::size_t common = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const auto near_a = nearest_indices(std::span(in_a).subspan(i * n, n), found.neighbours);
    const auto near_b = nearest_indices(std::span(in_b).subspan(i * n, n), found.neighbours);
    std::vector<std::size_t> both;
    std::ranges::set_intersection(near_a, near_b, std::back_inserter(both));
    common += both.size();
  }
  found.overlap = static_cast<double>(common) / static_cast<double>(n * found.neighbours);
  found.correlation = correlation(ranks(above_diagonal(in_a, n)), ranks(above_diagonal(in_b, n)));
  return found;
}

Result<CloudBenchmarkReport> benchmark_cloud(const CloudBenchmark& options, nvidia::CloudModels& cloud) {
  IE_TRY(InstalledModels models, InstalledModels::open(options.paths, options.config));
  return CloudBench(options, cloud, std::move(models)).run();
}

}  // namespace image_engine::benchmark
