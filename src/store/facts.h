// What a stage found, as the catalogue stores it. The catalogue knows kinds of facts, not stages.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "store/asset_query.h"
#include "store/types.h"

namespace image_engine::store {

// Things and their numbers, searched for by `FIELD:`, by count and as words.
struct CountFacts {
  TextField field = TextField::kObjects;  // kObjects or kProducts
  std::vector<FoundObjects> things;
};

// Names with their confidence, searched for as the words of the field.
struct ClassFacts {
  TextField field = TextField::kScene;  // kScene, kAction, kZeroShotAction, kSound or kKeywords
  std::vector<FoundClass> classes;
};

// Text, one item a line. kSaid, one line at most, belongs to moments only: RecordWriter::index_speech().
struct TextFacts {
  TextField field = TextField::kText;
  std::vector<std::string> lines;
};

// What masks were found of, searched for by `subject:`; no words.
struct SubjectFacts {
  std::vector<FoundSubject> subjects;
  std::string look = {};  // of the largest one (vision/subject_look.h), bytes; empty: not known
};

// In the space of this key, which CatalogueWriter::open_space() has created.
struct VectorFact {
  StageKey space;
  std::vector<float> numbers;  // of length 1
};

// Each replaces the existing fact of its kind and field. A new kind needs a type here and a put() in facts.cpp.
using Fact = std::variant<CountFacts, ClassFacts, TextFacts, SubjectFacts, VectorFact>;

}  // namespace image_engine::store
