#include "tests/vision/inputs.h"
#include "tests/support/files.h"

namespace image_engine::vision {
namespace {

const std::string kInputs = "vision_inputs/";

}  // namespace

const nlohmann::json& manifest() {
  static const nlohmann::json loaded = json_of(kInputs + "manifest.json");
  return loaded;
}

Image read_picture(const std::string& name) { return picture_of(kInputs + name); }

LumaStatistics luma_of(const Image& image) {
  LumaAccumulator luma;
  luma.begin(image.width, image.height);
  std::vector<std::uint8_t> row(image.width);
  for (std::uint32_t y = 0; y < image.height; ++y) {
    rgb_to_luma(std::span(image.pixels).subspan(y * image.row_bytes(), image.row_bytes()), row);
    luma.add_row(row);
  }
  return luma.finish();
}

}  // namespace image_engine::vision
