#include "inputs.h"

#include <fstream>

namespace image_engine::vision {
namespace {

const std::string kInputs = "vision_inputs/";

}  // namespace

const nlohmann::json& manifest() {
  static const nlohmann::json loaded = [] {
    std::ifstream file(kInputs + "manifest.json");
    return file ? nlohmann::json::parse(file) : nlohmann::json();
  }();
  return loaded;
}

Image read_picture(const std::string& name) {
  std::ifstream file(kInputs + name, std::ios::binary);
  std::string magic;
  int most = 0;
  Image image;
  file >> magic >> image.width >> image.height >> most;
  file.get();
  const size_t channels = magic == "P6" ? 3 : 1, pixels = size_t{image.width} * image.height;
  std::string samples(pixels * channels, 0);
  file.read(samples.data(), static_cast<std::streamsize>(samples.size()));
  if (!file || most != 255) return {};
  for (size_t i = 0; i < pixels; ++i)
    for (size_t c = 0; c < 3; ++c)
      image.pixels.push_back(static_cast<std::uint8_t>(samples[i * channels + c % channels]));
  return image;
}

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
