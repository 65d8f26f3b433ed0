// What a server may answer, of each kind, as a zip and as an error: what is made of it is within its bounds.
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/text.h"
#include "nvidia/answers.h"
#include "nvidia/nvcf.h"
#include "nvidia/server_error.h"

using namespace image_engine;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

bool is_line(std::string_view text, std::size_t most) {
  return text.size() <= most && is_utf8(text) && printable(text) == text;
}

void read_products(std::string_view body) {
  const nvidia::Scale scale{100, 80, 4000, 3000};
  const auto products = nvidia::read_products(body, scale, 0.5, 10);
  if (!products) return;
  require(products->detections.size() <= 10 && products->dominant.size() <= 5);
  for (const nvidia::Product& product : products->detections) {
    const Box& box = product.box;
    require(is_line(product.name, 200) && product.confidence >= 0.5 && product.confidence <= 1);
    require(box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0);
    require(box.x + box.width <= 4000.5F && box.y + box.height <= 3000.5F);
  }
  (void)nvidia::products_json(*products).dump();
}

void read_vectors(std::string_view body) {
  const auto vectors = nvidia::read_vectors(body, 1);
  if (!vectors) return;
  require(vectors->size() == 1 && vectors->front().size() >= 2);
  double squares = 0;
  for (const float value : vectors->front()) squares += double{value} * value;
  require(std::abs(squares - 1) < 1e-3);
}

Status read_description(std::string_view body) {
  const auto description = nvidia::read_description(body);
  if (!description) return fail(description.error());
  require(!description->text.empty() && is_line(description->text, 20'000));
  return {};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  read_products(body);
  read_vectors(body);
  (void)read_description(body);
  const nvidia::Reply reply{200, {}, std::string(body)};
  if (const auto answer = nvidia::unpacked(reply, read_description)) require(read_description(*answer).has_value());
  require(printable(nvidia::error_of_answer("model", 500, body, {}).message).size() < 2'000);
  return 0;
}
