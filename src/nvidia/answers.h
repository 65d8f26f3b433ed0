// Parses servers' answers about pictures as untrusted input.
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

// `body`: JSON of at most 16 MiB. Drops products below the threshold, and boxes outside the picture or with invalid
// numbers; clips the others to the picture and returns the surest `most`. kCorrupt names what is missing or wrong.
Result<RetailProducts> read_products(std::string_view body, const Scale& scale, double threshold, std::size_t most);
// `text` of the inline form, or the first choice's message (a string or parts), without the model's reasoning.
Result<Description> read_description(std::string_view body);
// `wanted` vectors in request order, each of length 1; all finite and of one size, 2…65536. Reads the first of `data`
// (OpenAI's form), `embeddings`, `embedding`, `image_embeddings`, `image_embedding`, `text_embeddings`,
// `text_embedding` that has `wanted` vectors: one vector, a list of vectors, or a list of {embedding}.
Result<std::vector<std::vector<float>>> read_vectors(std::string_view body, std::size_t wanted);

// As in docs/schema/asset.json: {detections: [{class, confidence, bbox}], product_count, dominant_products}.
nlohmann::json products_json(const RetailProducts& products);

}  // namespace image_engine::nvidia
