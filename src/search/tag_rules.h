// What `tag:NAME` finds besides keywords: config/tags.yaml, or a file of the user's. docs/search.md tells its format.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "store/asset_query.h"

namespace image_engine::search {

// A plain value; thread-safe.
class TagRules {
 public:
  // kInvalidArgument names file, line and what is wrong.
  static Result<TagRules> read(const std::string& file);

  // ASCII case aside. Null when there is no rule of that name.
  [[nodiscard]] const std::vector<store::Sign>* find(std::string_view name) const;
  [[nodiscard]] std::vector<std::string_view> names() const;

 private:
  std::map<std::string, std::vector<store::Sign>, std::less<>> rules_;  // by the name in lower case
};

}  // namespace image_engine::search
