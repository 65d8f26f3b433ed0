// What `tag:NAME` finds besides keywords: config/tags.yaml, or a user's file. docs/search.md describes the format.
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
  // kInvalidArgument names file, line and problem.
  static Result<TagRules> read(const std::string& file);

  // Ignores ASCII case. Null when there is no rule of that name.
  [[nodiscard]] const std::vector<store::Sign>* find(std::string_view name) const;
  [[nodiscard]] std::vector<std::string_view> names() const;

 private:
  std::map<std::string, std::vector<store::Sign>, std::less<>> rules_;  // by the name in lower case
};

}  // namespace image_engine::search
