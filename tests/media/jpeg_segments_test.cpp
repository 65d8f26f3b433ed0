// Where a JPEG's markers are, against T.81's rule read byte by byte.
#include "media/jpeg_segments.h"

#include <gtest/gtest.h>

#include <random>

namespace image_engine::media {
namespace {

// T.81, B.1.1.2: a marker is 0xFF and a byte that is not 0.
std::size_t by_the_rule(Bytes file, std::size_t from) {
  for (std::size_t at = from; at + 1 < file.size(); ++at)
    if (file[at] == std::byte{0xFF} && file[at + 1] != std::byte{0}) return at;
  return file.size();
}

TEST(JpegMarkers, AreFoundAtEveryPlace) {
  std::mt19937 random(1);
  for (int turn = 0; turn < 3000; ++turn) {
    std::vector<std::byte> bytes(random() % 900);
    const unsigned rarity = turn % 3 == 0 ? 4 : 400;  // of 0xFF; half of them are stuffed
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = random() % rarity == 0 ? std::byte{0xFF} : static_cast<std::byte>(random() % 255);
      if (i > 0 && bytes[i - 1] == std::byte{0xFF} && random() % 2 == 0) bytes[i] = std::byte{0};
    }
    const std::size_t from = random() % (bytes.size() + 1);
    ASSERT_EQ(next_marker(bytes, from), by_the_rule(bytes, from)) << bytes.size() << " bytes from " << from;
  }
}

}  // namespace
}  // namespace image_engine::media
