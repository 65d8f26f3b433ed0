// What servers say about pictures, read as if it were hostile.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/result.h"
#include "nvidia/endpoint.h"
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

// The picture as it was sent, and as it is.
struct Scale {
  std::uint32_t width = 0, height = 0;
  std::uint32_t full_width = 0, full_height = 0;
};

// `body`: JSON of at most 16 MiB. Products under the threshold are dropped, boxes cut to the picture, those outside it
// or with numbers that are none are left out; of the rest the surest `most`. kCorrupt says what is missing or wrong.
Result<RetailProducts> read_products(std::string_view body, const Scale& scale, double threshold, std::size_t most);
// `text` of the inline form, or the first choice's message.
Result<Description> read_description(std::string_view body);
// As many vectors as were asked for, in that order, each of length 1; all finite and of one size, 2…65536.
Result<std::vector<std::vector<float>>> read_vectors(std::string_view body, std::size_t wanted);

// As docs/schema/asset.json has them: {detections: [{class, confidence, bbox}], product_count, dominant_products}.
nlohmann::json products_json(const RetailProducts& products);

}  // namespace image_engine::nvidia
