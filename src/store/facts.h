// What a stage found, as the catalogue takes it: it knows kinds of facts, not stages.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "store/asset_query.h"
#include "store/types.h"

namespace image_engine::store {

// Things of a kind and how many, for `FIELD:`, counts and words.
struct CountFacts {
  TextField field = TextField::kObjects;  // kObjects or kProducts
  std::vector<FoundObjects> things;
};

// Names with their confidence, searched for as the words of the field.
struct ClassFacts {
  TextField field = TextField::kScene;  // kScene or kKeywords
  std::vector<FoundClass> classes;
};

// Words, one item a line.
struct TextFacts {
  TextField field = TextField::kText;
  std::vector<std::string> lines;
};

// In the space of this key, which CatalogueWriter::open_space() has made.
struct VectorFact {
  StageKey space;
  std::vector<float> numbers;  // of length 1
};

// Each replaces what is there of its kind and field. Another kind is another type here, and one more
// CatalogueWriter::put_fact().
using Fact = std::variant<CountFacts, ClassFacts, TextFacts, VectorFact>;

}  // namespace image_engine::store
