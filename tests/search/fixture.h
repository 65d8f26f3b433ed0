// A catalogue to plant photos in, and what a search finds there.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "search/search.h"
#include "tests/support/catalogue.h"

namespace image_engine::search {

class SearchedTest : public store::WrittenTest {
 protected:
  void TearDown() override {
    reader_.reset();
    WrittenTest::TearDown();
  }
  void open_reader() {
    auto reader = store::CatalogueReader::open(path_);
    ASSERT_OK(reader);
    reader_ = std::make_unique<store::CatalogueReader>(std::move(*reader));
  }

  // `picture` names the asset.
  Result<store::AssetId> add_photo(const store::FileObservation& observed, const Metadata& metadata,
                                   const std::string& picture, const std::optional<store::Place>& place = {}) {
    IE_TRY(const auto file, writer_->upsert_file(observed, run_));
    IE_CHECK(writer_->set_file_metadata(file.id, metadata, place, "1"));
    IE_TRY(const auto content, writer_->set_content(file.id, hash128("file " + observed.path), hash128(picture)));
    return content.asset;
  }

  SearchResults results(std::string_view query, const SearchOptions& options = {}) const {
    auto found = search(*reader_, query, options);
    EXPECT_TRUE(found.has_value()) << query << ": " << found.error().message;
    return found ? *found : SearchResults();
  }
  static std::vector<std::string> names(const SearchResults& results) {
    std::vector<std::string> found;
    for (const SearchResult& result : results.results) found.emplace_back(file_name(result.path));
    return found;
  }

  std::unique_ptr<store::CatalogueReader> reader_;
};

}  // namespace image_engine::search
