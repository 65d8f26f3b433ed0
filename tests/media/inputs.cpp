#include "inputs.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace image_engine::media {
namespace {

class Libraries : public testing::Environment {
 public:
  void SetUp() override { ASSERT_TRUE(init(1)); }
};
const auto* const kLibraries = testing::AddGlobalTestEnvironment(new Libraries);

}  // namespace

const nlohmann::json& manifest() {
  static const nlohmann::json all = [] {
    std::ifstream file(std::string(kInputs) + "/manifest.json");
    return file ? nlohmann::json::parse(file) : nlohmann::json();
  }();
  return all;
}

Buffer load(const std::string& name) {
  std::ifstream file(std::string(kInputs) + "/" + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

Image load_ppm(const std::string& name) {
  std::ifstream file(std::string(kInputs) + "/" + name, std::ios::binary);
  std::string magic;
  Image image;
  int most = 0;
  file >> magic >> image.width >> image.height >> most;
  file.get();
  EXPECT_TRUE(file && magic == "P6" && most == 255) << name;
  image.pixels.resize(image.height * image.row_bytes());
  file.read(reinterpret_cast<char*>(image.pixels.data()), static_cast<std::streamsize>(image.pixels.size()));
  EXPECT_TRUE(file) << name;
  return image;
}

double mean_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.pixels.size() != b.pixels.size()) return 255;
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(int{a.pixels[i]} - int{b.pixels[i]});
  return sum / static_cast<double>(a.pixels.size());
}

}  // namespace image_engine::media
