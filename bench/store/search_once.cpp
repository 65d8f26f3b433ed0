// search_once FILE QUERY: one search in one process, printing the first results: what a user waits for.
#include <cstdio>

#include "search/search.h"

int main(int argc, char** argv) {
  using namespace image_engine;
  if (argc != 3) {
    std::fprintf(stderr, "usage: search_once FILE QUERY\n");
    return 2;
  }
  const auto reader = store::CatalogueReader::open(argv[1]);
  search::SearchOptions options;
  options.most_moments = 3;  // as the command
  const auto found =
      reader ? search::search(*reader, argv[2], options) : Result<search::SearchResults>(fail(reader.error()));
  if (!found) {
    std::fprintf(stderr, "search_once: %s\n", found.error().message.c_str());
    return 1;
  }
  std::printf("%llu results\n", static_cast<unsigned long long>(found->total));
  for (const auto& result : found->results) {
    std::printf("%.3f %s", result.score, result.path.c_str());
    for (const auto& why : result.why) std::printf(" [%s: %s]", why.field.c_str(), why.text.c_str());
    std::printf("\n");
  }
  return 0;
}
