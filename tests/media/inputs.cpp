#include "tests/media/inputs.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "tests/support/files.h"

namespace image_engine::media {
namespace {

class Libraries : public testing::Environment {
 public:
  void SetUp() override { ASSERT_TRUE(init(1)); }
};
const auto* const kLibraries = testing::AddGlobalTestEnvironment(new Libraries);

}  // namespace

const nlohmann::json& manifest() {
  static const nlohmann::json all = json_of(std::string(kInputs) + "/manifest.json");
  return all;
}

Buffer load(const std::string& name, const std::string& folder) {
  std::ifstream file(folder + "/" + name, std::ios::binary | std::ios::ate);
  EXPECT_TRUE(file) << name;
  Buffer bytes(file ? static_cast<std::size_t>(file.tellg()) : 0);
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return bytes;
}

Image load_ppm(const std::string& name, const std::string& folder) {
  Image image = picture_of(folder + "/" + name);
  EXPECT_FALSE(image.pixels.empty()) << name;
  return image;
}

double mean_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.pixels.size() != b.pixels.size()) return 255;
  const std::uint8_t *one = a.pixels.data(), *other = b.pixels.data();
  std::uint64_t sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += static_cast<unsigned>(std::abs(one[i] - other[i]));
  return static_cast<double>(sum) / static_cast<double>(a.pixels.size());
}

}  // namespace image_engine::media
