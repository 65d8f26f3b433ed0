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
  std::vector<std::uint8_t> samples(pixels * channels);
  file.read(reinterpret_cast<char*>(samples.data()), static_cast<std::streamsize>(samples.size()));
  if (!file || most != 255) return {};
  if (channels == 3) {
    image.pixels = std::move(samples);
  } else {
    image.pixels.reserve(pixels * 3);
    for (const std::uint8_t sample : samples) image.pixels.insert(image.pixels.end(), 3, sample);
  }
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
