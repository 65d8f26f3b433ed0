#include "benchmark/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "core/file.h"
#include "core/progress.h"
#include "pipeline/installed_models.h"
#include "pipeline/labels.h"
#include "pipeline/stages.h"
#include "search/search.h"
#include "store/catalogue.h"
#include "types/half.h"
#include "vision/embedder.h"

namespace image_engine::benchmark {
namespace {

constexpr int kBatch = 2000;
constexpr int kGroups = 50;  // of similar pictures
const char* const kWords[] = {"beach", "dog", "forest", "birthday", "snow", "city", "kitchen", "mountain"};

using Random = std::mt19937_64;

std::vector<float> random_direction(std::size_t dimensions, Random& random) {
  std::normal_distribution<float> normal;
  std::vector<float> vector(dimensions);
  for (float& value : vector) value = normal(random);
  return vector;
}

std::vector<float> of_length_one(std::vector<float> vector) {
  double sum = 0;
  for (const float value : vector) sum += double{value} * value;
  for (float& value : vector) value = static_cast<float>(value / std::sqrt(sum));
  return vector;
}

class Library {
 public:
  explicit Library(const SearchBenchmark& options) : options_(options) {
    for (int i = 0; i < kGroups; ++i) centres_.push_back(random_direction(options.dimensions, random_));
  }

  [[nodiscard]] std::string catalogue() const { return join_path(options_.folder, "catalog.db"); }

  Status fill() {
    IE_TRY(auto lock, store::WriterLock::acquire(catalogue(), "benchmark"));
    IE_TRY(auto writer, store::CatalogueWriter::open(catalogue(), std::move(lock)));
    IE_TRY(const store::RunId run, writer.start_run("benchmark"));
    IE_CHECK(writer.add_root("/library", 1));
    IE_TRY(const store::Space space,
           writer.open_space({pipeline::kEmbeddingStage, "synthetic", "1", ""}, options_.dimensions));
    Progress progress("Synthetic library", options_.assets, options_.progress);
    for (std::uint64_t i = 0; i < options_.assets; ++i) {
      if (options_.stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
      if (i % kBatch == 0) IE_CHECK(writer.begin());
      IE_CHECK(add(writer, run, space.id, i));
      if (i % kBatch == kBatch - 1 || i + 1 == options_.assets) IE_CHECK(writer.commit());
      progress.add();
    }
    return writer.finish_run(run, {}, 0);
  }

  // A text tower's vector for a query about one of the groups.
  std::vector<float> query() { return of_length_one(centres_[random_() % kGroups]); }

 private:
  Status add(store::CatalogueWriter& writer, store::RunId run, store::SpaceId space, std::uint64_t i) {
    store::FileObservation seen;
    seen.path = fmt::format("/library/{}/{} {}/photo_{}.jpg", 2000 + i % 24, kWords[i % std::size(kWords)], i / 200, i);
    seen.inode = i + 1;
    seen.stamp = {4'000'000, static_cast<std::int64_t>(i)};
    seen.format = MediaFormat::kJpeg;
    seen.kind = MediaKind::kPhoto;
    IE_TRY(const store::KnownFile file, writer.upsert_file(seen, run));
    Metadata metadata;
    metadata.format = MediaFormat::kJpeg;
    metadata.rating = static_cast<int>(i % 10 == 0 ? 5 : 1);
    metadata.keywords = {kWords[i * 7 % std::size(kWords)], fmt::format("word{}", i * i % 4001)};
    IE_CHECK(writer.set_file_metadata(file.id, metadata, {}, "1"));
    const Hash128 hash = hash128(fmt::format("benchmark {}", i));
    IE_TRY(const store::Content content, writer.set_content(file.id, hash, hash));
    std::vector<float> vector = random_direction(options_.dimensions, random_);
    for (std::size_t k = 0; k < vector.size(); ++k) vector[k] += 0.6F * centres_[i % kGroups][k];
    return writer.put_vector(content.asset, space, to_half(of_length_one(std::move(vector))));
  }

  const SearchBenchmark& options_;
  Random random_{42};
  std::vector<std::vector<float>> centres_;
};

class SearchBench {
 public:
  explicit SearchBench(const SearchBenchmark& options)
      : options_(options), threads_(static_cast<int>(options.config.worker_count())), library_(options) {}

  Result<std::vector<BenchmarkRow>> run() {
    IE_CHECK(library_.fill());
    IE_TRY(const store::CatalogueReader reader, store::CatalogueReader::open(library_.catalogue()));
    IE_TRY(const std::vector<store::Space> spaces, reader.spaces(pipeline::kEmbeddingStage));
    const store::Space& space = spaces.at(0);
    const auto open = [&] { return search::VectorIndex::open(reader, library_.catalogue(), space); };
    IE_CHECK(measure("vectors' side file made", 1, 1, [&]() -> Status { return discard(open()); }));
    IE_CHECK(measure("vectors' side file opened and checked", 1, options_.rounds,
                     [&]() -> Status { return discard(open()); }));
    IE_TRY(const search::VectorIndex index, open());
    IE_CHECK(scans(index));
    IE_CHECK(searches(reader, index));
    IE_CHECK(label());
    return texts();
  }

 private:
  template <typename T>
  static Status discard(const Result<T>& result) {
    return result ? Status{} : Status(fail(result.error()));
  }

  Status measure(std::string name, int threads, int rounds, const std::function<Status()>& work) {
    using Clock = std::chrono::steady_clock;
    BenchmarkRow row{std::move(name), threads, {}, {}};
    for (int round = 0; round < rounds; ++round) {
      if (options_.stop.stop_requested()) return fail(ErrorCode::kInterrupted, "interrupted");
      const auto start = Clock::now();
      IE_CHECK(work());
      row.seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
    std::ranges::sort(row.seconds);
    rows_.push_back(std::move(row));
    return {};
  }

  Status scans(const search::VectorIndex& index) {
    store::IdSet tenth(static_cast<store::AssetId>(options_.assets) + 2);
    for (store::AssetId id = 1; id <= static_cast<store::AssetId>(options_.assets); id += 10) tenth.insert(id);
    const std::vector<float> query = library_.query();
    const auto scan = [&](const store::IdSet* allowed, int threads) {
      return [&, allowed, threads]() -> Status { return discard(index.scan(query, 50, allowed, threads)); };
    };
    IE_CHECK(measure("scan of all vectors", 1, options_.rounds, scan(nullptr, 1)));
    if (threads_ > 1) IE_CHECK(measure("scan of all vectors", threads_, options_.rounds, scan(nullptr, threads_)));
    return measure("scan of a tenth, chosen by a filter", threads_, options_.rounds, scan(&tenth, threads_));
  }

  Status searches(const store::CatalogueReader& reader, const search::VectorIndex& index) {
    search::PictureMeaning meaning{&index, [&](std::string_view) { return library_.query(); }, search::kClipPrior};
    search::SearchOptions words;
    words.threads = threads_;
    search::SearchOptions both = words;
    both.pictures = [&]() -> Result<const search::PictureMeaning*> { return &meaning; };
    const auto ask = [&](const char* query, const search::SearchOptions& options) {
      return [&reader, &options, query]() -> Status { return discard(search::search(reader, query, options)); };
    };
    IE_CHECK(measure("search 'word42'", 1, options_.rounds, ask("word42", words)));
    IE_CHECK(measure("search 'dog beach'", 1, options_.rounds, ask("dog beach", words)));
    IE_CHECK(measure("search 'dog beach' with vectors", threads_, options_.rounds, ask("dog beach", both)));
    return measure("search 'dog beach rating:5' with vectors", threads_, options_.rounds,
                   ask("dog beach rating:5", both));
  }

  Status label() {
    pipeline::LabelRequest request;
    request.catalogue = library_.catalogue();
    request.name = "benchmark";
    request.config = options_.config;
    for (int i = 0; i < 3; ++i) {
      const int n = i * kGroups;
      request.add.push_back(
          fmt::format("/library/{}/{} {}/photo_{}.jpg", 2000 + n % 24, kWords[n % std::size(kWords)], n / 200, n));
    }
    if (options_.assets <= 3 * kGroups) return {};
    return measure("label with three examples trained and applied", threads_, std::min(3, options_.rounds),
                   [&]() -> Status {
                     IE_TRY(auto lock, store::WriterLock::acquire(request.catalogue, "benchmark"));
                     return discard(pipeline::teach_label(request, std::move(lock)));
                   });
  }

  // The installed text tower; a synthetic library has no use for it.
  Result<std::vector<BenchmarkRow>> texts() {
    IE_TRY(const pipeline::InstalledModels models, pipeline::InstalledModels::open(options_.models, options_.config));
    const Result<const models::Spec*> spec =
        models.find("embedding", options_.config.analysis.ml_models.embedding_model);
    if (!spec) {
      rows_.push_back({"text to vector", threads_, {}, spec.error().message});
      return std::move(rows_);
    }
    IE_TRY(const vision::TextEmbedder embedder, models.text_embedder(**spec));
    IE_CHECK(measure(fmt::format("text to vector by {}", (*spec)->name), threads_, options_.rounds,
                     [&]() -> Status { return discard(embedder.embed("a person playing football")); }));
    return std::move(rows_);
  }

  const SearchBenchmark& options_;
  const int threads_;
  Library library_;
  std::vector<BenchmarkRow> rows_;
};

}  // namespace

Result<std::vector<BenchmarkRow>> benchmark_search(const SearchBenchmark& options) {
  return SearchBench(options).run();
}

}  // namespace image_engine::benchmark
