// make_catalogue FILE COUNT: a catalogue of COUNT synthetic photos, as `analyze` would leave it, for
// bench/store/search.sh and bench_store.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/hash.h"
#include "library.h"
#include "store/catalogue.h"

namespace {

using namespace image_engine;

constexpr int kBatch = 2000;

Status fill(store::CatalogueWriter& writer, int count) {
  bench::Library library;
  IE_TRY(const auto run, writer.start_run("make_catalogue"));
  IE_CHECK(writer.add_root("/library", 1));
  for (int i = 0; i < count; ++i) {
    if (i % kBatch == 0) IE_CHECK(writer.begin());
    IE_TRY(const auto file, writer.upsert_file(library.file(i), run));
    IE_CHECK(writer.set_file_metadata(file.id, library.metadata(i), bench::Library::place(i), "1"));
    const Hash128 hash = hash128(std::to_string(i));
    IE_TRY(const auto content, writer.set_content(file.id, hash, hash));
    IE_CHECK(writer.put_record(content.asset, {{"thumbnail", "", "1", ""}, "cpu", "", "{}", ""}));
    IE_CHECK(writer.put_record(content.asset, {{"objects", "detector", "1", ""}, "cpu", "fp32", "{}", ""}));
    IE_CHECK(writer.put_fact(content.asset, store::CountFacts{store::TextField::kObjects, bench::Library::objects(i)}));
    if (i % 5 == 0)
      IE_CHECK(writer.put_fact(content.asset, store::TextFacts{store::TextField::kText, bench::Library::signs(i / 5)}));
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
