// What servers say about pictures, read as if it were hostile.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/result.h"
#include "nvidia/picture.h"
#include "types/box.h"

namespace image_engine::nvidia {

struct Product {
  std::string name;       // "bottle"
  double confidence = 0;  // 0…1
  Box box;                // pixels of the upright photo, inside it
};
struct RetailProducts {
  std::vector<Product> detections;    // the surest first
  std::vector<std::string> dominant;  // the five most frequent names, of equal ones the surest
};
struct Description {
  std::string text;  // UTF-8 without control characters, at most 20,000 bytes
};

// `body`: JSON of at most 16 MiB. Products under the threshold are dropped, boxes cut to the picture, those outside it
// or with numbers that are none are left out; of the rest the surest `most`. kCorrupt says what is missing or wrong.
Result<RetailProducts> read_products(std::string_view body, const Scale& scale, double threshold, std::size_t most);
// `text` of the inline form, or the first choice's message (a text or parts), without what a model thought before.
Result<Description> read_description(std::string_view body);
// As many vectors as were asked for, in that order, each of length 1; all finite and of one size, 2…65536. Read is the
// first of `data` (of OpenAI's form), `embeddings`, `embedding`, `image_embeddings`, `image_embedding`,
// `text_embeddings`, `text_embedding` that has so many, as one vector, a list of them, or of {embedding}.
Result<std::vector<std::vector<float>>> read_vectors(std::string_view body, std::size_t wanted);

// As docs/schema/asset.json has them: {detections: [{class, confidence, bbox}], product_count, dominant_products}.
nlohmann::json products_json(const RetailProducts& products);

}  // namespace image_engine::nvidia
