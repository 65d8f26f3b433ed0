// Broken and malicious files: an error or a warning, the right one, and never a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/media/inputs.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"

namespace image_engine::media {
namespace {

using namespace std::string_view_literals;
using testing::IsEmpty;
using testing::Not;

Buffer bytes_of(std::string_view text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

Buffer cut(const Buffer& file, size_t size) { return {file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)}; }

void put16(Buffer& file, size_t at, unsigned value) {
  file[at] = static_cast<std::byte>(value >> 8);
  file[at + 1] = static_cast<std::byte>(value & 0xFF);
}

// The offset of the first `marker` (0xFF and `code`).
size_t find_marker(const Buffer& file, unsigned char code) {
  const std::array marker{std::byte{0xFF}, std::byte{code}};
  return static_cast<size_t>(std::search(file.begin(), file.end(), marker.begin(), marker.end()) - file.begin());
}

// A JPEG with this TIFF as its EXIF.
Buffer with_exif(const Buffer& jpeg, std::string_view tiff) {
  const auto length = tiff.size() + 8;
  Buffer file = cut(jpeg, 2);
  for (const auto& part : {std::string{'\xff', '\xe1', char(length >> 8), char(length & 0xFF)},
                           std::string("Exif\0\0"sv), std::string(tiff)}) {
    const auto more = bytes_of(part);
    file.insert(file.end(), more.begin(), more.end());
  }
  file.insert(file.end(), jpeg.begin() + 2, jpeg.end());
  return file;
}

void use_everything(const Buffer& file) {
  (void)detect_format(file);
  (void)content_hashes(file);
  (void)read_metadata(file, {});
  if (auto decoded = decode(file, {.max_edge = 64, .max_pixels = 4'000'000})) {
    EXPECT_EQ(decoded->image.pixels.size(), decoded->image.height * decoded->image.row_bytes());
  }
}

TEST(Hostile, NotMedia) {
  for (const auto text : {""sv, "\xff"sv, "hello, world\n"sv, "\xff\xd8"sv}) {
    EXPECT_EQ(read_metadata(bytes_of(text), {}).error().code, ErrorCode::kUnsupported);
    EXPECT_EQ(decode(bytes_of(text), {}).error().code, ErrorCode::kUnsupported);
  }
  for (const auto text :
       {"\xff\xd8\xff"sv, "\x89PNG\r\n\x1a\n"sv, "GIF89a"sv, "II*\0"sv, "RIFF\0\0\0\0WEBPVP8 "sv, "IIRO"sv, "IIU\0"sv,
        "\0\0\0\x18"
        "ftypheic\0\0\0\0heicmif1"sv,
        "\0\0\0\x18"
        "ftypisom\0\0\0\0isommp42"sv})
    EXPECT_FALSE(read_metadata(bytes_of(text), {})) << text;
}

TEST(Hostile, AnyFormatCutAnywhere) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  for (const auto* list : {"pictures", "videos"})
    for (const auto& entry : manifest()[list]) {
      const auto file = load(entry["file"]);
      for (const size_t percent : {1, 10, 50, 90, 99}) use_everything(cut(file, file.size() * percent / 100));
    }
}

TEST(Hostile, AnyFormatWithFlippedBytes) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  std::mt19937 random(20240601);
  for (const auto* list : {"pictures", "tags", "videos"})
    for (const auto& entry : manifest()[list]) {
      const auto file = load(entry["file"]);
      for (int round = 0; round < 6; ++round) {
        auto changed = file;
        // Headers lie at the front: change them more often than pixels.
        const auto reach = round % 2 == 0 ? std::min<size_t>(file.size(), 600) : file.size();
        for (int i = 0; i < 8; ++i) changed[random() % reach] = static_cast<std::byte>(random());
        use_everything(changed);
      }
    }
}

TEST(Hostile, ACutJpegKeepsItsTop) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto file = load("jpeg_0_85_1.jpg");
  const auto whole = decode(file, {}), part = decode(cut(file, file.size() * 6 / 10), {});
  ASSERT_TRUE(whole && part);
  EXPECT_TRUE(part->partial);
  EXPECT_THAT(part->warnings, Not(IsEmpty()));
  ASSERT_EQ(part->image.pixels.size(), whole->image.pixels.size());
  const auto third = static_cast<std::ptrdiff_t>(whole->image.pixels.size() / 3);
  EXPECT_TRUE(std::equal(whole->image.pixels.begin(), whole->image.pixels.begin() + third, part->image.pixels.begin()));
  const auto& last = part->image.pixels;
  EXPECT_EQ(last.back(), last[last.size() - 4]);  // grey, not noise
}

TEST(Hostile, AJpegWithoutItsEndIsWhole) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto file = load("jpeg_0_85_1.jpg");
  const auto decoded = decode(cut(file, file.size() - 2), {});
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->image.pixels, decode(file, {})->image.pixels);
}

TEST(Hostile, AJpegCutBehindItsHeaderIsCorrupt) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto file = load("jpeg_0_85_1.jpg");
  const auto scan = find_marker(file, 0xDA);
  for (const size_t size : {scan - 10, scan, scan + 14})
    EXPECT_EQ(decode(cut(file, size), {}).error().code, ErrorCode::kCorrupt) << size;
}

TEST(Hostile, ALostRestartIntervalIsPartial) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  auto file = load("jpeg_restart.jpg");
  const auto begin = find_marker(file, 0xD1), end = find_marker(file, 0xD3);
  ASSERT_LT(end, file.size());
  file.erase(file.begin() + static_cast<std::ptrdiff_t>(begin), file.begin() + static_cast<std::ptrdiff_t>(end));
  const auto decoded = decode(file, {});
  ASSERT_OK(decoded);
  EXPECT_TRUE(decoded->partial);
}

TEST(Hostile, AWrongHuffmanTableIsNoCrash) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  auto file = load("jpeg_0_85_1.jpg");
  const auto table = find_marker(file, 0xC4);
  for (size_t i = 0; i < 12; ++i) file[table + 25 + i] = std::byte{0x11};
  const auto decoded = decode(file, {});
  EXPECT_TRUE(!decoded || decoded->partial);
}

TEST(Hostile, HeadersThatPromiseTooMuchAreRefused) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  auto jpeg = load("jpeg_0_85_1.jpg");
  const auto frame = find_marker(jpeg, 0xC0);
  put16(jpeg, frame + 5, 60'000);
  put16(jpeg, frame + 7, 60'000);
  EXPECT_EQ(decode(jpeg, {.max_edge = 256}).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(read_metadata(jpeg, {})->width, 60'000U);

  // 30,000 × 30,000 in one PNG header with a right checksum.
  auto png = load("png_RGB.png");
  put16(png, 18, 30'000);
  put16(png, 22, 30'000);
  std::uint32_t crc = ~0U;
  for (size_t i = 12; i < 29; ++i) {
    crc ^= static_cast<std::uint32_t>(png[i]);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
  }
  crc = ~crc;
  put16(png, 29, crc >> 16);
  put16(png, 31, crc & 0xFFFF);
  EXPECT_EQ(decode(png, {.max_edge = 256}).error().code, ErrorCode::kTooLarge);

  auto bmp = load("bmp_RGB.bmp");
  bmp[20] = bmp[24] = std::byte{2};  // 131,072 more, little-endian
  EXPECT_EQ(decode(bmp, {}).error().code, ErrorCode::kTooLarge);

  auto gif = load("gif_animated.gif");
  for (const size_t at : {6, 7, 8, 9}) gif[at] = std::byte{0xFF};
  use_everything(gif);  // libnsgif takes the first frame's size for a screen that cannot be

  for (const auto* name : {"webp_0.webp", "tiff_raw.tif", "heif_0.heic", "avif_0.avif", "jxl_0.jxl", "raw.dng"})
    EXPECT_EQ(decode(load(name), {.max_pixels = 1000}).error().code, ErrorCode::kTooLarge) << name;
}

TEST(Hostile, BrokenExifIsAWarning) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto jpeg = load("jpeg_0_85_1.jpg");
  const auto plain = read_metadata(jpeg, {});
  // IFD0 whose Exif IFD (0x8769) is IFD0 itself, and whose next IFD is too.
  const auto loop = "II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"sv;
  // A Make (0x010F) of four thousand million characters, far outside.
  const auto huge = "II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\xf0\xff\xff\xff\xf0\xff\xff\x7f\0\0\0\0"sv;
  const auto beyond = "II*\0\xff\xff\xff\x7f"sv;
  const auto garbage = "no TIFF at all, just bytes"sv;
  for (const auto tiff : {loop, huge, beyond, garbage}) {
    const auto metadata = read_metadata(with_exif(jpeg, tiff), {});
    ASSERT_TRUE(metadata);
    EXPECT_EQ(metadata->width, plain->width);
    EXPECT_EQ(metadata->orientation, 1U);
    EXPECT_THAT(metadata->make, IsEmpty());
    EXPECT_TRUE(decode(with_exif(jpeg, tiff), {}));
  }
  EXPECT_THAT(read_metadata(with_exif(jpeg, garbage), {})->warnings, Not(IsEmpty()));
}

TEST(Hostile, ImpossibleValuesAreLeftOut) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  // GPS IFD (0x8825) with latitude 99°0'0" and longitude 0/0.
  std::string tiff("II*\0\x08\0\0\0\x02\0"sv);
  tiff += "\x32\x01\x02\0\x14\0\0\0\x26\0\0\0"sv;  // DateTime
  tiff += "\x25\x88\x04\0\x01\0\0\0\x3a\0\0\0"sv;  // GPS IFD
  tiff += "\0\0\0\0"sv;
  tiff += "2024:13:45 10:00:00\0"sv;
  tiff += "\x02\0\x02\0\x05\0\x03\0\0\0\x58\0\0\0\x04\0\x05\0\x03\0\0\0\x70\0\0\0\0\0\0\0"sv;
  tiff += "\x63\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0"sv;
  tiff += std::string(24, '\0');
  const auto metadata = read_metadata(with_exif(load("jpeg_0_85_1.jpg"), tiff), {});
  ASSERT_TRUE(metadata);
  EXPECT_FALSE(metadata->gps);
  EXPECT_FALSE(metadata->taken);
  EXPECT_EQ(metadata->warnings.size(), 2U) << testing::PrintToString(metadata->warnings);
}

TEST(Hostile, ARawFileCutInHalfIsAnErrorOrPartial) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  const auto file = load("raw.dng");
  const auto decoded = decode(cut(file, file.size() / 2), {});
  EXPECT_TRUE(!decoded || decoded->partial);
}

TEST(Hostile, ACutPngIsPartial) {
  if (manifest().is_null()) GTEST_SKIP() << kNoInputs;
  for (const auto* name : {"png_RGB.png", "tiff_raw.tif", "bmp_RGB.bmp", "gif_0.gif"}) {
    const auto file = load(name);
    const auto decoded = decode(cut(file, file.size() * 7 / 10), {});
    EXPECT_TRUE(!decoded || decoded->partial) << name;
  }
}

// What make_hostile.py made, in the folder where the tests run.
nlohmann::json hostile_manifest() { return json_of("hostile_inputs/manifest.json"); }

// Every state that fits: a whole picture with a warning is both.
std::vector<std::string> states_of(const Result<Decoded>& decoded) {
  if (!decoded) return {"error"};
  if (decoded->partial) return {"partial"};
  return decoded->warnings.empty() ? std::vector<std::string>{"whole"} : std::vector<std::string>{"whole", "warned"};
}

TEST(Hostile, EachFileIsDecodedAsFarAsItGoes) {
  const auto manifest = hostile_manifest();
  if (manifest.is_null()) GTEST_SKIP() << "no hostile_inputs/manifest.json: tests/media/make_hostile.py has not run";
  for (const auto& entry : manifest) {
    const std::string name = entry["file"];
    SCOPED_TRACE(name);
    const auto file = load("../hostile_inputs/" + name);
    (void)content_hashes(file);
    const auto metadata = read_metadata(file, {});
    for (const std::uint32_t edge : {0U, 40U}) {
      const auto decoded = decode(file, {.max_edge = edge, .max_pixels = 4'000'000});
      EXPECT_THAT(entry["expect"].get<std::vector<std::string>>(),
                  testing::Contains(testing::AnyOfArray(states_of(decoded))))
          << (decoded ? "" : decoded.error().message);
      if (!decoded) {
        EXPECT_THAT(decoded.error().message, Not(IsEmpty()));
        continue;
      }
      EXPECT_TRUE(metadata) << "what can be decoded has a header";
      EXPECT_EQ(decoded->partial && decoded->warnings.empty(), false);
      EXPECT_EQ(decoded->image.pixels.size(), decoded->image.height * decoded->image.row_bytes());
      if (edge == 0 && entry.contains("reference")) {
        const auto reference = load_ppm("../hostile_inputs/" + entry["reference"].get<std::string>());
        EXPECT_LE(mean_difference(decoded->image, reference), entry["tolerance"].get<double>());
      }
    }
  }
}

// The rows before the damage are those of the whole file.
TEST(Hostile, ALostRestartIntervalLeavesTheRowsAboveIt) {
  if (hostile_manifest().is_null()) GTEST_SKIP() << "tests/media/make_hostile.py has not run";
  const auto whole = decode(load("../hostile_inputs/jpeg_no_eoi.jpg"), {});
  const auto lost = decode(load("../hostile_inputs/jpeg_restart_lost.jpg"), {});
  ASSERT_TRUE(whole && lost);
  const size_t kept = 16 * whole->image.row_bytes();
  EXPECT_TRUE(std::equal(whole->image.pixels.begin(), whole->image.pixels.begin() + static_cast<std::ptrdiff_t>(kept),
                         lost->image.pixels.begin()));
  EXPECT_NE(whole->image.pixels, lost->image.pixels);
}

}  // namespace
}  // namespace image_engine::media
