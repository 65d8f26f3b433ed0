// index_times FOLDER ASSETS: how long a catalogue of that many photos with vectors of 512 takes for what searching and
// labelling do, in seconds. FOLDER is empty.
#include <chrono>
#include <cstdio>
#include <random>
#include <string>

#include "search/vectors.h"
#include "types/half.h"
#include "vision/embedder.h"

namespace {

using namespace image_engine;

constexpr std::size_t kDimensions = 512;

template <typename T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "index_times: %s\n", result.error().message.c_str());
  std::exit(1);
}
void must(const Status& status) { (void)must(Result<bool>(status ? Result<bool>(true) : fail(status.error()))); }

template <typename F>
void measure(const char* what, F&& f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  std::printf("%-48s %8.3f s\n", what, taken.count());
  std::fflush(stdout);
}

std::vector<std::uint16_t> random_vector(std::mt19937& random) {
  std::vector<float> vector(kDimensions);
  std::normal_distribution<float> normal(0, 0.044F);  // of length 1, about
  for (float& number : vector) number = normal(random);
  return to_half(vector);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: index_times FOLDER ASSETS\n");
    return 2;
  }
  const std::string path = std::string(argv[1]) + "/catalog.db";
  const int assets = std::stoi(argv[2]);
  auto writer = must(store::CatalogueWriter::open(path, must(store::WriterLock::acquire(path, "index_times"))));
  std::mt19937 random(1);
  const store::SpaceId space = must(writer.open_space({"embedding", "bench", "1", ""}, kDimensions)).id;
  must(writer.begin());
  for (int i = 0; i < assets; ++i) {
    store::FileObservation seen;
    seen.path = "/photos/" + std::to_string(i) + ".jpg";
    seen.format = MediaFormat::kJpeg;
    seen.kind = MediaKind::kPhoto;
    const auto file = must(writer.upsert_file(seen, 1));
    (void)must(writer.set_content(file.id, hash128(seen.path), hash128(seen.path)));
  }
  must(writer.commit());
  const auto put = [&](int from, int to) {
    must(writer.begin());
    for (int i = from; i < to; ++i) must(writer.put_vector(i + 1, space, random_vector(random)));
    must(writer.commit());
  };
  measure("vectors written", [&] { put(0, assets); });
  const auto reader = must(store::CatalogueReader::open(path));
  const auto open = [&] {
    (void)must(search::VectorIndex::open(reader, path, must(reader.spaces("embedding")).front()));
  };
  measure("side file made", open);
  measure("side file opened and verified", open);
  put(0, 1000);
  measure("side file with 1,000 vectors changed", open);
  std::vector<store::LabelFinding> findings;
  for (int i = 0; i < 1000; ++i) findings.push_back({i * (assets / 1000) + 1, 0.9, {}});
  measure("1,000 findings of a label", [&] { must(writer.set_label_findings("car", findings)); });
  for (auto& finding : findings) finding.confidence = 0.8;
  measure("the same, surer", [&] { must(writer.set_label_findings("car", findings)); });
  return 0;
}
