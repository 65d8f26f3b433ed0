// make_catalogue FILE COUNT: a catalogue of COUNT synthetic photos, as `analyze` would leave it, for
// bench/store/search.sh and bench_store. The words follow a Zipf-like law; "common" is in every asset, "photo" in every
// file name.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "core/hash.h"
#include "store/catalogue.h"

namespace {

using namespace image_engine;

constexpr int kBatch = 2000;
constexpr int kVocabulary = 20'000;
constexpr const char* kMakes[][2] = {{"Canon", "Canon EOS 40D"},
                                     {"NIKON CORPORATION", "NIKON D90"},
                                     {"Apple", "iPhone 12"},
                                     {"SONY", "ILCE-7M3"},
                                     {"Google", "Pixel 6"}};
constexpr const char* kPlaces[][3] = {{"Munich", "Bavaria", "Germany"},
                                      {"Lisbon", "Lisbon", "Portugal"},
                                      {"Kyoto", "Kyoto", "Japan"},
                                      {"Zürich", "Zürich", "Switzerland"}};
constexpr const char* kUnspaced[] = {"東京タワー", "京都の寺", "海辺の夕日", "ภูเขา"};

class Library {
 public:
  store::FileObservation file(int i) {
    const int year = 2000 + i % 24;
    store::FileObservation seen;
    seen.path = "/library/" + std::to_string(year) + "/album " + std::to_string(i / 200) + "/photo_" +
                std::to_string(i) + ".jpg";
    seen.inode = static_cast<std::uint64_t>(i) + 1;
    seen.stamp = {4'000'000 + i, std::int64_t{1'600'000'000'000'000'000} + i};
    seen.format = MediaFormat::kJpeg;
    seen.kind = MediaKind::kPhoto;
    return seen;
  }

  Metadata metadata(int i) {
    Metadata m;
    m.format = MediaFormat::kJpeg;
    m.width = 4032;
    m.height = 3024;
    const std::time_t seconds = 946'684'800 + static_cast<std::time_t>(i) * 7919 % 757'000'000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char local[32];
    std::strftime(local, sizeof local, "%Y-%m-%dT%H:%M:%S", &parts);
    m.taken = CaptureTime{local, {}};
    m.make = kMakes[i % 5][0];
    m.model = kMakes[i % 5][1];
    m.lens = "EF 24-70mm f/2.8";
    m.keywords = {"common", word(), word(), word()};
    m.title = word() + " " + word();
    m.description = word() + " " + word() + " " + word() + " " + word() + " common";
    if (i % 10 == 0) m.keywords.emplace_back(kUnspaced[i / 10 % 4]);
    if (i % 3 == 0) m.gps = Gps{35 + uniform_(random_) * 20, uniform_(random_) * 20, {}};
    if (i % 4 == 0) m.rating = i / 4 % 6;
    return m;
  }

  // Persons, one to six, on two photos of five; a car or two on every fifth; a few taxis, men, dogs.
  static std::vector<store::FoundObjects> objects(int i) {
    std::vector<store::FoundObjects> found;
    if (i % 5 < 2) found.push_back({"person", 1 + i / 5 % 6, 0.9});
    if (i % 5 == 4) found.push_back({"car", 1 + i / 5 % 2, 0.8});
    if (i % 50 == 7) found.push_back({"taxi", 1, 0.6});
    if (i % 10 == 3) found.push_back({"man", 1 + i / 10 % 3, 0.7});
    if (i % 20 == 8) found.push_back({"dog", 1, 0.5});
    return found;
  }

  static store::Place place(int i) { return {kPlaces[i % 4][0], kPlaces[i % 4][1], kPlaces[i % 4][2], ""}; }

 private:
  // Word k of the vocabulary comes about as often as 1/k.
  std::string word() {
    const auto k = static_cast<int>(std::pow(double{kVocabulary}, uniform_(random_)));
    return "word" + std::to_string(k);
  }
  std::mt19937 random_{42};
  std::uniform_real_distribution<double> uniform_{0, 1};
};

Status fill(store::CatalogueWriter& writer, int count) {
  Library library;
  IE_TRY(const auto run, writer.start_run("make_catalogue"));
  IE_CHECK(writer.add_root("/library", 1));
  for (int i = 0; i < count; ++i) {
    if (i % kBatch == 0) IE_CHECK(writer.begin());
    IE_TRY(const auto file, writer.upsert_file(library.file(i), run));
    IE_CHECK(writer.set_file_metadata(file.id, library.metadata(i), Library::place(i), "1"));
    const Hash128 hash = hash128(std::to_string(i));
    IE_TRY(const auto content, writer.set_content(file.id, hash, hash));
    IE_CHECK(writer.put_record(content.asset, {{"thumbnail", "", "1", ""}, "cpu", "", "{}", ""}));
    IE_CHECK(writer.put_record(content.asset, {{"objects", "detector", "1", ""}, "cpu", "fp32", "{}", ""}));
    IE_CHECK(writer.put_fact(content.asset, store::CountFacts{store::TextField::kObjects, Library::objects(i)}));
    if (i % kBatch == kBatch - 1 || i + 1 == count) IE_CHECK(writer.commit());
  }
  return writer.finish_run(run, {{"files", count}}, 0);
}

Status make(const std::string& path, int count) {
  IE_TRY(auto lock, store::WriterLock::acquire(path, "make_catalogue"));
  IE_TRY(auto writer, store::CatalogueWriter::open(path, std::move(lock)));
  return fill(writer, count);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_catalogue FILE COUNT\n");
    return 2;
  }
  if (const auto made = make(argv[1], std::atoi(argv[2])); !made) {
    std::fprintf(stderr, "make_catalogue: %s\n", made.error().message.c_str());
    return 1;
  }
  return 0;
}
