// The hash that names an asset: what changes it and what does not.
#include <gtest/gtest.h>

#include <cstring>

#include "core/hash.h"
#include "tests/media/inputs.h"

namespace image_engine::media {
namespace {

Buffer insert(const Buffer& file, size_t at, std::string_view bytes) {
  Buffer result(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(at));
  const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
  result.insert(result.end(), begin, begin + bytes.size());
  result.insert(result.end(), file.begin() + static_cast<std::ptrdiff_t>(at), file.end());
  return result;
}

using namespace std::string_view_literals;

TEST(AssetHash, IgnoresApplicationSegmentsAndComments) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  for (const auto* name : {"jpeg_0_85_1.jpg", "jpeg_progressive.jpg", "jpeg_restart.jpg"}) {
    SCOPED_TRACE(name);
    const auto file = load(name);
    const auto plain = content_hashes(file);
    const auto edited = content_hashes(insert(insert(file, 2, "\xff\xfe\0\x06note"sv), 2, "\xff\xe1\0\x04\xff\xd9"sv));
    EXPECT_EQ(edited.coded, plain.coded);
    EXPECT_NE(edited.file, plain.file);
    EXPECT_EQ(plain.file, content_hash(std::span<const std::byte>(file)));
  }
}

// exiftool rewrites metadata and leaves the coded data alone.
TEST(AssetHash, SurvivesExiftool) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto original = content_hashes(load("jpeg_0_85_1.jpg"));
  for (int i = 0; i < 8; ++i) {
    const auto edited = content_hashes(load("tags_" + std::to_string(i) + ".jpg"));
    EXPECT_EQ(edited.coded, original.coded) << i;
    EXPECT_NE(edited.file, original.file) << i;
  }
}

TEST(AssetHash, EndsWithTheFirstPicture) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto file = load("jpeg_0_85_1.jpg");
  EXPECT_EQ(content_hashes(insert(file, file.size(), "a clip"sv)).coded, content_hashes(file).coded);
}

TEST(AssetHash, CodedDataCounts) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto file = load("jpeg_0_85_1.jpg");
  auto changed = file;
  changed[file.size() / 2] ^= std::byte{1};
  EXPECT_NE(content_hashes(changed).coded, content_hashes(file).coded);
  EXPECT_NE(content_hashes(load("jpeg_1_85_1.jpg")).coded, content_hashes(file).coded);
  const Buffer cut(file.begin(), file.end() - 100);
  EXPECT_NE(content_hashes(cut).coded, content_hashes(file).coded);
}

TEST(AssetHash, OfAJpegWithoutCodedDataIsTheFiles) {
  constexpr auto kHeaderOnly = "\xff\xd8\xff\xe0\x00\x10JFIF"sv;
  const auto hashes = content_hashes(std::as_bytes(std::span(kHeaderOnly)));
  EXPECT_EQ(hashes.coded, hashes.file);
}

TEST(AssetHash, OfOtherFormatsIsTheFiles) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto hashes = content_hashes(load("png_0.png"));
  EXPECT_EQ(hashes.coded, hashes.file);
}

}  // namespace
}  // namespace image_engine::media
