// writing FILE COUNT: the processor time that writing COUNT photos into a new catalogue costs the one thread that
// writes, by pass. It bounds the photos a second of `analyze` on any number of cores.
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "core/hash.h"
#include "library.h"
#include "store/catalogue.h"

namespace {

using namespace image_engine;

constexpr int kChangesPerCommit = 2000;  // as the pipeline's
constexpr std::size_t kDimensions = 512;
const store::StageKey kEmbedding = {"embedding", "encoder", "1", ""};

double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Writing {
  store::CatalogueWriter& writer;
  int count;
  store::RunId run = 0;
  bench::Library library;
  std::vector<store::FileId> files;
  std::vector<store::PreparedMetadata> headers;

  Status scan(int i) {
    IE_TRY(const auto file, writer.upsert_file(library.file(i), run, store::Headers::kFollow));
    files.push_back(file.id);
    return {};
  }

  Status read_headers(int i) {
    const auto at = static_cast<std::size_t>(i);
    return writer.set_file_metadata(files[at], headers[at], "1");
  }

  Status read_contents(int i) {
    const Hash128 hash = hash128(std::to_string(i));
    IE_TRY(const auto content, writer.set_content(files[static_cast<std::size_t>(i)], hash, hash));
    for (const char* stage : {"thumbnail", "quality", "hash"})
      IE_CHECK(writer.put_record(content.asset, {{stage, "", "1", ""}, "cpu", "", R"({"score": 0.5})", ""}));
    const std::vector<store::Fact> objects = {
        store::CountFacts{store::TextField::kObjects, bench::Library::objects(i)}};
    IE_CHECK(writer.put_record(content.asset,
                               {{"objects", "detector", "1", ""}, "cpu", "fp32", R"({"objects": []})", ""}, objects));
    const std::vector<store::Fact> vector = {
        store::VectorFact{kEmbedding, std::vector<float>(kDimensions, 1.0F / static_cast<float>(i + 1))}};
    return writer.put_record(content.asset, {kEmbedding, "cpu", "fp32", "{}", ""}, vector);
  }

  // Prints the time of `change`, called once for each photo.
  Status measure(const char* name, const std::function<Status(int)>& change) {
    const double start = thread_seconds();
    for (int i = 0; i < count; ++i) {
      if (i % kChangesPerCommit == 0) IE_CHECK(writer.begin());
      IE_CHECK(change(i));
      if ((i + 1) % kChangesPerCommit == 0 || i + 1 == count) IE_CHECK(writer.commit());
    }
    const double each = (thread_seconds() - start) / count;
    std::printf("%-10s %7.1f us a photo, at most %7.0f photos/s\n", name, each * 1e6, 1 / each);
    return {};
  }

  Status all() {
    IE_TRY(run, writer.start_run("writing"));
    IE_CHECK(writer.add_root("/library", 1));
    IE_TRY([[maybe_unused]] const auto space, writer.open_space(kEmbedding, kDimensions));
    for (int i = 0; i < count; ++i)
      headers.push_back(store::prepare_metadata(library.metadata(i), bench::Library::place(i)));
    IE_CHECK(measure("scan", [&](int i) { return scan(i); }));
    IE_CHECK(measure("headers", [&](int i) { return read_headers(i); }));
    IE_CHECK(measure("contents", [&](int i) { return read_contents(i); }));
    return writer.finish_run(run, {{"files", count}}, 0);
  }
};

Status measure_all(const std::string& path, int count) {
  IE_TRY(auto lock, store::WriterLock::acquire(path, "writing"));
  IE_TRY(auto writer, store::CatalogueWriter::open(path, std::move(lock)));
  return Writing{.writer = writer, .count = count}.all();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: writing FILE COUNT\n");
    return 2;
  }
  if (const auto measured = measure_all(argv[1], std::atoi(argv[2])); !measured) {
    std::fprintf(stderr, "writing: %s\n", measured.error().message.c_str());
    return 1;
  }
  return 0;
}
