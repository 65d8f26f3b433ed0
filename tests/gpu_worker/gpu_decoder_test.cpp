#include "worker/gpu_decoder.h"

#include <gtest/gtest.h>
#include <turbojpeg.h>

#include <atomic>
#include <cmath>
#include <cstring>

#include "preprocess/plan.h"
#include "tests/gpu_worker/support.h"
#include "tests/support/ok.h"
#include "tests/support/pictures.h"
#include "worker/decode_file.h"

namespace image_engine::worker {
namespace {

// With an APP1 segment that holds only EXIF's orientation (EXIF 2.32, 4.5.4 and 4.6.4).
std::string oriented(const std::string& jpeg, char orientation) {
  const std::string tiff{'M', 'M', 0, '*', 0, 0, 0,           8, 0, 1, 1, 0x12, 0,
                         3,   0,   0, 0,   1, 0, orientation, 0, 0, 0, 0, 0,    0};
  const std::string payload = std::string("Exif\0\0", 6) + tiff;
  const std::string segment = std::string("\xFF\xE1\0", 3) + static_cast<char>(payload.size() + 2) + payload;
  return jpeg.substr(0, 2) + segment + jpeg.substr(2);
}

std::unique_ptr<GpuDecoder> decoder(const std::string& manner, std::uint32_t slots = 8) {
  return GpuDecoder::create(options_of(manner, slots)).value();
}

double mean_difference(const ImageView& a, const ImageView& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  double sum = 0;
  for (size_t i = 0; i < std::min(a.pixels.size(), b.pixels.size()); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

void expect_as_from_the_cpu(GpuDecoder& gpu, Pool& pool, const std::string& jpeg, const std::string& name) {
  SCOPED_TRACE(name);
  const UniqueFd file = file_of(jpeg);
  std::optional<GpuPicture> picture = gpu.submit(kAll, file.get());
  ASSERT_TRUE(picture);
  const std::optional<Reply> found = picture->wait();
  ASSERT_TRUE(found);
  Lease lease = pool.lease();
  const Reply wanted = lease.run(kAll, file.get()).value();
  EXPECT_EQ(found->hashes->file, wanted.hashes->file);
  EXPECT_EQ(found->hashes->asset, wanted.hashes->asset);
  EXPECT_EQ(found->hashes->former, wanted.hashes->former);
  EXPECT_EQ(found->picture->full_width, wanted.picture->full_width);
  EXPECT_EQ(found->picture->full_height, wanted.picture->full_height);
  EXPECT_EQ(found->picture->luma.width, wanted.picture->luma.width);
  EXPECT_NEAR(found->picture->luma.noise_sigma, wanted.picture->luma.noise_sigma, 0.1);
  EXPECT_LE(mean_difference(picture->pixels(*found->picture), lease.pixels(*wanted.picture)), 1.0);
  EXPECT_EQ(picture->bytes(*found->thumbnail)[0], std::byte{0xFF});
}

TEST(GpuDecoder, ResultsAreThoseOfTheCpu) {
  const auto gpu = decoder("good");
  ASSERT_OK(gpu->wait_until_ready());
  const auto pool = Pool::create({}).value();
  const std::string wide = jpeg_of(640, 360);
  for (char orientation = 1; orientation <= 8; ++orientation)
    expect_as_from_the_cpu(*gpu, *pool, oriented(wide, orientation), "orientation " + std::to_string(orientation));
  expect_as_from_the_cpu(*gpu, *pool, jpeg_of(641, 359, TJFLAG_PROGRESSIVE), "progressive");
  expect_as_from_the_cpu(*gpu, *pool, jpeg_of(333, 777, 0, TJPF_RGB, TJSAMP_444), "4:4:4");
  expect_as_from_the_cpu(*gpu, *pool, jpeg_of(400, 300, 0, TJPF_GRAY, TJSAMP_GRAY), "grey");
  expect_as_from_the_cpu(*gpu, *pool, jpeg_of(50, 30), "smaller than its thumbnail");
  const GpuDecoderCounts counts = gpu->counts();
  EXPECT_EQ(counts.hardware, 11U);
  EXPECT_EQ(counts.hybrid, 1U) << "the progressive one is not for the engine";
  EXPECT_EQ(counts.left, 0U);
}

TEST(GpuDecoder, LeavesWhatIsNotForItToTheCpu) {
  const auto gpu = decoder("good");
  ASSERT_OK(gpu->wait_until_ready());
  const std::string plain = jpeg_of(320, 240);
  std::string no_tables = plain;
  for (size_t at = 0; (at = no_tables.find("\xFF\xC4", at)) != std::string::npos;) no_tables[at + 1] = '\xEF';
  const size_t middle = plain.size() / 2;
  std::string overwritten = plain, zeroed = plain;
  for (size_t i = 0; i < 400; ++i) overwritten[middle + i] = static_cast<char>(i * 37 % 256);
  for (size_t i = 0; i < 600; ++i) zeroed[middle + i] = 0;
  std::string lossless = plain;
  lossless[lossless.find("\xFF\xC0") + 1] = '\xC3';
  const std::pair<const char*, std::string> cases[] = {
      {"a bitmap", tiny_bmp()},
      {"CMYK", jpeg_of(320, 240, 0, TJPF_CMYK, TJSAMP_444)},
      {"cut off", plain.substr(0, plain.size() / 2)},
      {"a part is overwritten", overwritten},
      {"a part is zeros", zeroed},
      {"restart markers out of order",
       plain.substr(0, middle) + "\xFF\xD0" + plain.substr(middle, 100) + "\xFF\xD5" + plain.substr(middle + 100)},
      {"two frame headers", plain.substr(0, 2) + plain.substr(plain.find("\xFF\xC0"), 19) + plain.substr(2)},
      {"without Huffman tables", no_tables},
      {"lossless", lossless},
      {"too many pixels", jpeg_of(2400, 2000)},
      {"empty", ""},
      {"only its start", plain.substr(0, 2)},
  };
  for (const auto& [name, bytes] : cases) {
    const UniqueFd file = file_of(bytes);
    std::optional<GpuPicture> picture = gpu->submit(kAll, file.get());
    ASSERT_TRUE(picture) << name;
    EXPECT_FALSE(picture->wait()) << name;
  }
  EXPECT_EQ(gpu->counts().left, std::size(cases));
  EXPECT_EQ(gpu->counts().deaths, 0U);
}

TEST(GpuDecoder, TakesNoMoreThanItsSlots) {
  const auto gpu = decoder("good", 2);
  ASSERT_OK(gpu->wait_until_ready());
  const UniqueFd file = file_of(jpeg_of(320, 240));
  std::optional<GpuPicture> first = gpu->submit(kAll, file.get());
  std::optional<GpuPicture> second = gpu->submit(kAll, file.get());
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(gpu->submit(kAll, file.get()));
  EXPECT_TRUE(first->wait() && second->wait());
  EXPECT_FALSE(gpu->submit(kAll, file.get())) << "results are still read";
  { const GpuPicture released = std::move(*first); }
  EXPECT_TRUE(gpu->submit(kAll, file.get()));
  EXPECT_FALSE(gpu->submit({.operations = kReadMetadata}, file.get())) << "not a task for it";
}

TEST(GpuDecoder, ADeathCostsThePicturesInWorkAndNothingElse) {
  for (const char* manner : {"crash", "hang", "liar"}) {
    SCOPED_TRACE(manner);
    const auto gpu = decoder(manner);
    ASSERT_OK(gpu->wait_until_ready());
    const UniqueFd good = file_of(jpeg_of(320, 240)), bad = file_of(jpeg_of(13, 20));
    for (std::uint64_t death = 1; death <= 3; ++death) {
      ASSERT_TRUE(gpu->submit(kAll, good.get())->wait());
      EXPECT_FALSE(gpu->submit(kAll, bad.get())->wait());
      if (death < 3) ASSERT_OK(gpu->wait_until_ready());
      EXPECT_EQ(gpu->counts().deaths, death);
    }
    EXPECT_FALSE(gpu->wait_until_ready()) << "three deaths are enough";
    EXPECT_FALSE(gpu->submit(kAll, good.get()));
    EXPECT_TRUE(gpu->failure());
  }
}

// The worker's memory as this process sees it; sets `is_mapped` when it has come.
GpuDecoder::MapMemory map_into_here(std::atomic<bool>& is_mapped) {
  return [&is_mapped](const UniqueFd& handle, std::uint64_t bytes) {
    auto memory = mapped_here(handle, bytes);
    is_mapped = memory != nullptr;
    return memory;
  };
}

TEST(GpuDecoder, ModelsInputsAreThoseOfTheCpu) {
  const auto gpu = decoder("good");
  const std::vector<GpuInput> inputs = two_inputs();
  std::atomic<bool> is_mapped = false;
  ASSERT_OK(gpu->make_inputs(inputs, map_into_here(is_mapped)));
  ASSERT_OK(gpu->wait_until_ready());
  wait_for(is_mapped);
  const std::string wide = jpeg_of(641, 367);
  for (char orientation = 1; orientation <= 8; ++orientation) {
    const UniqueFd file = file_of(oriented(wide, orientation));
    std::optional<GpuPicture> picture = gpu->submit(kAll, file.get());
    ASSERT_TRUE(picture);
    const std::optional<Reply> reply = picture->wait();
    ASSERT_TRUE(reply);
    for (std::uint32_t i = 0; i < inputs.size(); ++i) {
      const preprocess::FullSize full{reply->picture->full_width, reply->picture->full_height};
      const auto by = inputs[i].by_full_size != 0 ? full : preprocess::FullSize{};
      const auto wanted = preprocess::prepare(inputs[i].plan, picture->pixels(*reply->picture), by).value();
      const GpuRow row = picture->input(i);
      ASSERT_TRUE(row);
      EXPECT_EQ(std::memcmp(row.address.get(), wanted.tensor.data.data(), wanted.tensor.data.size()), 0)
          << "input " << i << ", orientation " << int{orientation};
      const auto made =
          preprocess::prepared_on_gpu(inputs[i].plan, {{reply->picture->width, reply->picture->height}, row}, by)
              .value();
      EXPECT_EQ(made.tensor.shape, wanted.tensor.shape);
      EXPECT_EQ(made.placement.scale_x, wanted.placement.scale_x);
      EXPECT_EQ(made.placement.offset_y, wanted.placement.offset_y);
    }
  }
}

TEST(GpuDecoder, ModelsInputsAreKeptWhileTheyAreUsed) {
  std::vector<GpuInput> inputs = two_inputs();
  inputs[0].plan.width = inputs[0].plan.height = 224;  // one area of the stand-in's memory holds it
  const auto gpu = decoder("good");
  std::atomic<bool> is_mapped = false;
  ASSERT_OK(gpu->make_inputs(inputs, map_into_here(is_mapped)));
  ASSERT_OK(gpu->wait_until_ready());
  wait_for(is_mapped);
  const UniqueFd file = file_of(jpeg_of(320, 240));
  const auto row_of_next = [&] {
    std::optional<GpuPicture> picture = gpu->submit(kAll, file.get());
    EXPECT_TRUE(picture && picture->wait());
    return picture->input(0);
  };
  GpuRow first = row_of_next();
  EXPECT_TRUE(first);
  EXPECT_FALSE(row_of_next()) << "the only area is in use";
  first = {};
  EXPECT_TRUE(row_of_next());
}

TEST(GpuDecoder, ADeathEndsModelsInputsNotPictures) {
  const auto gpu = decoder("crash");
  std::atomic<bool> is_mapped = false;
  ASSERT_OK(gpu->make_inputs(two_inputs(), map_into_here(is_mapped)));
  ASSERT_OK(gpu->wait_until_ready());
  wait_for(is_mapped);
  const UniqueFd good = file_of(jpeg_of(320, 240)), bad = file_of(jpeg_of(13, 13));
  std::optional<GpuPicture> before = gpu->submit(kAll, good.get());
  ASSERT_TRUE(before && before->wait());
  const GpuRow row = before->input(0);
  ASSERT_TRUE(row);
  const float level = *static_cast<const float*>(row.address.get());
  std::optional<GpuPicture> deadly = gpu->submit(kAll, bad.get());
  ASSERT_TRUE(deadly);
  EXPECT_FALSE(deadly->wait());
  ASSERT_OK(gpu->wait_until_ready());
  std::optional<GpuPicture> after = gpu->submit(kAll, good.get());
  ASSERT_TRUE(after && after->wait());
  EXPECT_FALSE(after->input(0));
  EXPECT_EQ(*static_cast<const float*>(row.address.get()), level) << "what was made stays";
}

TEST(GpuDecoder, OneThatCannotStartSaysWhy) {
  const auto gpu = decoder("stillborn");
  const Status ready = gpu->wait_until_ready();
  ASSERT_FALSE(ready);
  EXPECT_NE(ready.error().message.find("make setup GPU=1"), std::string::npos) << ready.error().message;
  const Result<std::unique_ptr<GpuDecoder>> missing = GpuDecoder::create({.program = "/nonexistent/gpu-worker"});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
}

TEST(GpuDecoder, TheWallIsThatOfTheOtherWorkers) {
  const auto gpu = decoder("good");
  ASSERT_OK(gpu->wait_until_ready());
  const auto pool = Pool::create({}).value();
  const UniqueFd file = file_of(tiny_bmp());
  ASSERT_OK(pool->lease().run({}, file.get()));
  EXPECT_EQ(gpu->missing(), pool->missing());
}

}  // namespace
}  // namespace image_engine::worker
