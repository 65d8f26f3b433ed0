// What the tests of duplicates have in common.
#pragma once

#include <string>
#include <vector>

#include "search/duplicates.h"
#include "tests/search/fixture.h"

namespace image_engine::search {

class DuplicateSearchTest : public SearchedTest {
 protected:
  void SetUp() override {
    SearchedTest::SetUp();
    ASSERT_TRUE(writer_->add_root(folder_, 1).has_value());
    open_reader();
    options_.hash_stage = {"hash", "", "2", ""};
    options_.quality_stage = {"quality", "", "1", ""};
    options_.thumbnail_stage = {"thumbnail", "", "1", ""};
  }

  std::vector<DuplicateGroup> groups() const {
    auto found = find_duplicates(*reader_, options_);
    EXPECT_OK(found);
    return found ? *found : std::vector<DuplicateGroup>();
  }
  static std::vector<std::string> names(const DuplicateGroup& group) {
    std::vector<std::string> list;
    for (const DuplicateFile& file : group.files) list.emplace_back(file_name(file.path));
    return list;
  }

  DuplicateOptions options_;
};

}  // namespace image_engine::search
