#include "gpu/kernels/resample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "gpu/kernels/batch.h"
#include "media/decoders.h"
#include "media/media.h"
#include "media/resize.h"
#include "preprocess/device_input.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"
#include "types/half.h"
#include "vision/hashes.h"
#include "vision/quality.h"

namespace image_engine::gpu {
namespace {

const std::string kPhotos = IE_SOURCE_DIR "/build/samples/photos/", kLargePhotos = IE_SOURCE_DIR "/build/samples/12mp/";

class KernelTestLibraries : public testing::Environment {
  void SetUp() override { ASSERT_OK(media::init(1)); }
};
const auto* const kKernelTestLibraries = testing::AddGlobalTestEnvironment(new KernelTestLibraries);

// A picture as a decoder leaves it in memory: rows apart, at a multiple of 4 bytes.
struct Stored {
  std::vector<std::uint32_t> words;
  DevicePicture picture;
};
Stored stored(const Image& image, int orientation = 1, std::size_t gap = 1) {
  Stored made;
  const std::size_t pitch = image.row_bytes() + gap;
  // Not a byte more than the picture needs: sanitizers see a read beyond it.
  const std::size_t bytes = pitch * (image.height - 1) + image.row_bytes();
  made.words.resize((bytes + 3) / 4);
  auto* const rgb = reinterpret_cast<std::uint8_t*>(made.words.data());
  for (std::uint32_t y = 0; y < image.height; ++y)
    std::copy_n(image.pixels.data() + y * image.row_bytes(), image.row_bytes(), rgb + y * pitch);
  made.picture = {rgb, image.width, image.height, pitch, orientation};
  return made;
}

Image noise(std::uint32_t width, std::uint32_t height, unsigned seed = 1) {
  Image image{width, height, std::vector<std::uint8_t>(std::size_t{width} * height * 3)};
  std::mt19937 random(seed);
  for (auto& sample : image.pixels) sample = static_cast<std::uint8_t>(random());
  return image;
}

std::vector<std::string> photos(const std::string& folder = kPhotos) {
  std::vector<std::string> files;
  if (!std::filesystem::is_directory(folder)) return files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto extension = entry.path().extension();
    if (extension == ".jpg" || extension == ".png") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

Image decoded(const std::string& file, std::uint32_t edge = 0) {
  const std::string bytes = bytes_of(file);
  media::DecodeOptions options;
  options.max_edge = edge;
  auto made = media::decode(std::as_bytes(std::span(bytes)), options);
  return made ? std::move(made->image) : Image{};
}

LumaStatistics luma_of_rows(const Image& image) {
  LumaAccumulator accumulator;
  accumulator.begin(image.width, image.height);
  std::vector<std::uint8_t> row(image.width);
  for (std::uint32_t y = 0; y < image.height; ++y) {
    rgb_to_luma(std::span(image.pixels).subspan(y * image.row_bytes(), image.row_bytes()), row);
    accumulator.add_row(row);
  }
  return accumulator.finish();
}

struct Reduced {
  Image image;
  LumaStatistics luma;
  std::uint32_t shrink = 1;
};
Image boxed(const Image& image, std::uint32_t factor) {
  Image out{(image.width + factor - 1) / factor, (image.height + factor - 1) / factor, {}};
  for (std::uint32_t y = 0; y < image.height; y += factor)
    for (std::uint32_t x = 0; x < image.width; x += factor)
      for (std::uint32_t c = 0; c < 3; ++c) {
        std::uint32_t sum = 0, count = 0;
        for (std::uint32_t v = y; v < std::min(y + factor, image.height); ++v)
          for (std::uint32_t u = x; u < std::min(x + factor, image.width); ++u, ++count)
            sum += image.pixels[v * image.row_bytes() + u * 3 + c];
        out.pixels.push_back(static_cast<std::uint8_t>((sum + count / 2) / count));
      }
  return out;
}
// Means of factor × factor pixels, then the resizer.
Image shrunk(const Image& image, std::uint32_t factor, std::uint32_t edge) {
  const media::Size target = media::fit({image.width, image.height}, edge);
  const Image small = boxed(image, factor);
  media::RowResizer resizer({small.width, small.height}, target, image.width / double(factor),
                            image.height / double(factor));
  for (std::uint32_t y = 0; y < small.height; ++y) {
    std::copy_n(small.pixels.data() + y * small.row_bytes(), small.row_bytes(), resizer.next_row());
    resizer.commit_row();
  }
  return resizer.finish();
}
Reduced reduced(const Stored& from, std::uint32_t edge, std::uint32_t shrink = 0, bool with_luma = true) {
  const PictureSize size = reduced_size(from.picture, edge);
  Reduced made{{size.width, size.height, std::vector<std::uint8_t>(std::size_t{size.width} * size.height * 3)}, {}};
  // 0xA5: what is not written or not cleared shows
  std::vector<std::uint32_t> sums(luma_bytes(from.picture.width, from.picture.height) / 4, 0xA5A5A5A5U);
  ResampleTask task = reduce_task(from.picture, edge, made.image.pixels.data(), with_luma ? sums.data() : nullptr);
  if (shrink != 0) task.shrink = shrink;
  made.shrink = task.shrink;
  EXPECT_OK(resample_on_host({&task, 1}));
  if (!with_luma) return made;
  auto luma = read_luma(from.picture.width, from.picture.height, std::as_bytes(std::span(sums)));
  EXPECT_OK(luma);
  if (luma) made.luma = *luma;
  return made;
}

double mean_difference(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

TEST(GpuReduce, IsTheDecodersReductionOfPhotosInAllOrientations) {
  const auto files = photos();
  if (files.empty()) GTEST_SKIP() << "no samples: make setup";
  int orientation = 0, compared = 0;
  for (std::size_t i = 0; i < files.size(); i += 4 * IE_EACH_NTH) {
    const Image image = decoded(files[i]);
    if (image.width == 0 || image.pixels.size() > 20'000'000) continue;
    orientation = orientation % 8 + 1;
    const Stored from = stored(image, orientation, i % 4);
    const Reduced found = reduced(from, 64);
    const Image expected = media::apply_orientation(shrunk(image, found.shrink, 64), orientation);
    EXPECT_EQ(found.image.width, expected.width) << files[i];
    EXPECT_TRUE(found.image.pixels == expected.pixels) << files[i] << " in orientation " << orientation;
    EXPECT_TRUE(found.luma == luma_of_rows(image)) << files[i];
    ++compared;
  }
  EXPECT_GE(compared, 8 / IE_EACH_NTH);
}

TEST(GpuReduce, IsWithinOneLevelOfShrinkingWhileDecoding) {
  const auto files = photos();
  if (files.empty()) GTEST_SKIP() << "no samples: make setup";
  double worst = 0;
  for (std::size_t i = 0; i < files.size(); i += 5 * IE_EACH_NTH) {
    if (!files[i].ends_with(".jpg")) continue;
    const Image whole = decoded(files[i]), expected = decoded(files[i], 256);
    if (whole.width == 0) continue;
    const Reduced found = reduced(stored(whole), 256);
    ASSERT_EQ(found.image.pixels.size(), expected.pixels.size()) << files[i];
    const double mean = mean_difference(found.image.pixels, expected.pixels);
    EXPECT_LE(mean, 1) << files[i];
    worst = std::max(worst, mean);
  }
  std::cout << "  mean ≤ " << worst << "/255\n";
}

// The CPU shrinks JPEGs while decoding and reads luma before it becomes RGB; a GPU's decoder gives RGB of full size.
TEST(GpuReduce, QualityAndHashesOfPhotosAreTheDecoders) {
  auto files = photos(kLargePhotos);
  if (files.empty()) GTEST_SKIP() << "no samples: make setup";
  files.resize(std::min<std::size_t>(files.size(), 3));
  double worst = 0;
  int most_bits = 0, compared = 0;
  for (const std::string& file : files) {
    const std::string bytes = bytes_of(file);
    const auto decode = [&](std::uint32_t edge, LumaAccumulator* luma) {  // as stored, without profile
      media::DecodeOptions options;
      options.max_edge = edge, options.luma = luma, options.orientation = 1;
      return media::decode_jpeg(std::as_bytes(std::span(bytes)), options, {});
    };
    LumaAccumulator accumulator;
    const auto expected = decode(640, &accumulator), full = decode(0, nullptr);
    if (!expected || !full) continue;
    const Image& whole = full->image;
    const Reduced found = reduced(stored(whole), 640);
    const auto view = [](const Image& image) { return ImageView{image.width, image.height, image.pixels}; };
    const auto quality = vision::assess_quality(accumulator.finish(), view(expected->image));
    const auto of_kernels = vision::assess_quality(found.luma, view(found.image));
    for (const auto field : {&vision::Quality::sharpness, &vision::Quality::exposure, &vision::Quality::contrast,
                             &vision::Quality::colourfulness, &vision::Quality::noise, &vision::Quality::score}) {
      const double difference = std::abs(quality.*field - of_kernels.*field);
      EXPECT_LE(difference, 0.01) << file;
      worst = std::max(worst, difference);
    }
    const auto hashes = vision::perceptual_hashes(view(expected->image));
    const auto of_reduced = vision::perceptual_hashes(view(found.image));
    const int bits =
        std::max(vision::distance(hashes.dhash, of_reduced.dhash), vision::distance(hashes.phash, of_reduced.phash));
    EXPECT_LE(bits, 2) << file;
    most_bits = std::max(most_bits, bits);
    ++compared;
  }
  EXPECT_GE(compared, 1);
  std::cout << "  " << compared << " photos: quality within " << worst << ", hashes within " << most_bits << " bits\n";
}

struct Edges {
  std::uint32_t width, height;
};
// Around the sizes of blocks, cells and taps, and the smallest.
constexpr Edges kEdges[] = {{1, 1},     {1, 2},    {2, 1},     {3, 3},      {2, 300},  {300, 2},
                            {1, 3000},  {3000, 1}, {65, 65},   {66, 66},    {67, 67},  {129, 66},
                            {130, 67},  {512, 64}, {513, 65},  {514, 66},   {515, 67}, {577, 130},
                            {641, 481}, {1025, 9}, {1026, 10}, {1027, 194}, {7, 1500}, {2049, 131}};

TEST(GpuReduce, AllSizesAndOrientations) {
  for (const auto& [width, height] : kEdges)
    for (const int orientation : {1, 2, 3, 4, 5, 6, 7, 8, 0, 9}) {
      const Image image = noise(width, height);
      for (const std::uint32_t edge : {0U, 64U, 640U}) {
        if (edge != 64 && orientation != 1 && orientation != 6) continue;
        const std::string what = std::to_string(width) + "×" + std::to_string(height) + " in orientation " +
                                 std::to_string(orientation) + " to " + std::to_string(edge);
        const Reduced found = reduced(stored(image, orientation, width % 5), edge);
        const Image expected = media::apply_orientation(shrunk(image, found.shrink, edge), orientation);
        ASSERT_EQ(found.image.width, expected.width) << what;
        ASSERT_TRUE(found.image.pixels == expected.pixels) << what;
        ASSERT_TRUE(found.luma == luma_of_rows(image)) << what;
      }
    }
}

TEST(GpuReduce, AllSizesByMeansOfPixelsWithAndWithoutLuma) {
  for (const auto& [width, height] : kEdges)
    for (const std::uint32_t shrink : {1U, 2U, 4U})
      for (const bool with_luma : {true, false}) {
        const Image image = noise(width, height);
        const Reduced found = reduced(stored(image, 7, width % 5), 40, shrink, with_luma);
        const Image expected = media::apply_orientation(shrunk(image, shrink, 40), 7);
        ASSERT_TRUE(found.image.pixels == expected.pixels)
            << width << "×" << height << ", means of " << shrink << (with_luma ? ", luma" : "");
        ASSERT_TRUE(!with_luma || found.luma == luma_of_rows(image)) << width << "×" << height;
      }
}

TEST(GpuReduce, LumaOfTheStrongestContrastDoesNotOverflow) {
  Image board{300, 200, {}};
  for (std::uint32_t i = 0; i < 300 * 200; ++i) {
    const bool white = (i % 300 + i / 300) % 2 == 0;
    board.pixels.insert(board.pixels.end(), 3, white ? 255 : 0);
  }
  EXPECT_TRUE(reduced(stored(board), 64).luma == luma_of_rows(board));
  Image stripes{300, 200, {}};
  for (std::uint32_t i = 0; i < 300 * 200; ++i)
    stripes.pixels.insert(stripes.pixels.end(), 3, i % 300 / 2 % 2 == 0 ? 255 : 0);
  EXPECT_TRUE(reduced(stored(stripes), 64).luma == luma_of_rows(stripes));
}

// --- inputs of models

preprocess::Plan plan_of(preprocess::Fit fit, preprocess::Filter filter, unsigned variant) {
  preprocess::Plan plan;
  plan.width = 96, plan.height = 64;
  plan.fit = fit, plan.filter = filter;
  plan.align = variant % 2 == 0 ? preprocess::Align::kCentre : preprocess::Align::kTopLeft;
  plan.resize_edge = fit == preprocess::Fit::kCentreCrop && variant % 2 == 0 ? 110 : 0;
  plan.longest = fit == preprocess::Fit::kShortEdge ? 120 : 0;
  plan.pad = {114, 3.5F, 250};
  plan.layout = variant / 2 % 2 == 0 ? preprocess::Layout::kNchw : preprocess::Layout::kNhwc;
  plan.order = variant / 4 % 2 == 0 ? preprocess::ChannelOrder::kRgb : preprocess::ChannelOrder::kBgr;
  plan.mean = {123.675F, 116.28F, 103.53F}, plan.deviation = {58.395F, 57.12F, 57.375F};
  plan.type = variant / 8 % 2 == 0 ? ElementType::kFloat32 : ElementType::kUint8;
  return plan;
}

constexpr preprocess::Fit kAllFits[] = {preprocess::Fit::kStretch, preprocess::Fit::kLetterbox,
                                        preprocess::Fit::kCentreCrop, preprocess::Fit::kShortEdge};
constexpr preprocess::Filter kAllFilters[] = {preprocess::Filter::kNearest, preprocess::Filter::kBilinear,
                                              preprocess::Filter::kBicubic, preprocess::Filter::kLanczos,
                                              preprocess::Filter::kLinear};

// Largest and mean difference of two inputs, in levels of 255.
struct Apart {
  double most = 0, mean = 0;
};
Apart apart(const preprocess::Plan& plan, std::span<const std::byte> a, std::span<const std::byte> b) {
  Apart result;
  const std::size_t count = a.size() / element_size(plan.type);
  for (std::size_t i = 0; i < count; ++i) {
    double difference = 0;
    if (plan.type == ElementType::kUint8) {
      difference = std::abs(static_cast<int>(a[i]) - static_cast<int>(b[i]));
    } else {
      float x = 0, y = 0;
      std::memcpy(&x, a.data() + i * 4, 4), std::memcpy(&y, b.data() + i * 4, 4);
      difference = std::abs(double{x} - double{y}) * 57.12;
    }
    result.most = std::max(result.most, difference), result.mean += difference / static_cast<double>(count);
  }
  return result;
}

void compare_input(const preprocess::Plan& plan, const Image& image, int orientation, double most, double mean) {
  const Image upright = media::apply_orientation(image, orientation);
  const preprocess::FullSize full{upright.width * 5 + 1, upright.height * 5 - 1};
  const auto expected = preprocess::prepare(plan, {upright.width, upright.height, upright.pixels}, full);
  ASSERT_OK(expected);
  const Stored from = stored(image, orientation);
  std::vector<std::byte> found(expected->tensor.data.size(), std::byte{0xA5});
  const auto input = preprocess::device_input(plan, from.picture, found.data(), plan.type, full);
  ASSERT_OK(input);
  EXPECT_EQ(std::size_t{3} * input->input.width * input->input.height * element_size(plan.type), found.size());
  EXPECT_EQ(input->placement.scale_x, expected->placement.scale_x);
  EXPECT_EQ(input->placement.offset_y, expected->placement.offset_y);
  ASSERT_OK(resample_on_host({&input->task, 1}));
  const Apart difference = apart(plan, found, expected->tensor.data);
  EXPECT_LE(difference.most, most);
  EXPECT_LE(difference.mean, mean);
}

TEST(GpuInput, IsPreparesOfUprightPictures) {
  for (const auto& [width, height] : {Edges{640, 427}, Edges{213, 320}, Edges{40, 30}, Edges{1, 1}, Edges{700, 3}})
    for (const auto fit : kAllFits)
      for (const auto filter : kAllFilters)
        for (unsigned variant = 0; variant < 16; variant += width == 640 ? 1 : 5) {
          SCOPED_TRACE(::testing::Message() << width << "×" << height << ", fit " << static_cast<int>(fit)
                                            << ", filter " << static_cast<int>(filter) << ", variant " << variant);
          compare_input(plan_of(fit, filter, variant), noise(width, height), 1, 0, 0);
        }
}

TEST(GpuInput, OfAllOrientationsIsWithinRounding) {
  const auto files = photos();
  if (files.empty()) GTEST_SKIP() << "no samples: make setup";
  const Image photo = decoded(files.front(), 400);
  ASSERT_GT(photo.width, 0U);
  for (int orientation = 1; orientation <= 8; ++orientation)
    for (const auto fit : kAllFits)
      for (const auto filter : {preprocess::Filter::kBilinear, preprocess::Filter::kBicubic}) {
        SCOPED_TRACE(::testing::Message() << "orientation " << orientation << ", fit " << static_cast<int>(fit));
        // Where edges are swapped the passes are, too, and overshoot is clipped in between.
        compare_input(plan_of(fit, filter, 1), photo, orientation, orientation > 4 ? 16 : 2, 0.3);
      }
}

TEST(GpuInput, PicturesOfManySizesBecomeRowsOfOneTensorOfHalves) {
  constexpr std::size_t kPictures = 2 * kMostJobs + 3;
  const preprocess::Plan plan = plan_of(preprocess::Fit::kLetterbox, preprocess::Filter::kBicubic, 0);
  const std::size_t item = std::size_t{3} * plan.width * plan.height;
  std::vector<std::uint16_t> tensor(item * kPictures);
  std::vector<Stored> pictures;
  std::vector<Image> images;
  std::vector<ResampleTask> tasks;
  for (std::size_t i = 0; i < kPictures; ++i) {
    images.push_back(noise(30 + static_cast<std::uint32_t>(i) * 7, 200 - static_cast<std::uint32_t>(i), 7));
    pictures.push_back(stored(images.back()));
    const auto input =
        preprocess::device_input(plan, pictures.back().picture, tensor.data() + i * item, ElementType::kFloat16);
    ASSERT_OK(input);
    tasks.push_back(input->task);
  }
  ASSERT_OK(resample_on_host(tasks));
  for (std::size_t i = 0; i < kPictures; ++i) {
    const auto expected = preprocess::prepare(plan, {images[i].width, images[i].height, images[i].pixels});
    ASSERT_OK(expected);
    const auto halves = to_half(expected->tensor.as<float>());
    EXPECT_TRUE(std::ranges::equal(halves, std::span(tensor).subspan(i * item, item))) << i;
  }
}

TEST(GpuResample, NamesWhatIsWrong) {
  const Stored from = stored(noise(40, 30));
  std::vector<std::uint8_t> out(40 * 30 * 3 + 4);
  const ResampleTask good = reduce_task(from.picture, 20, out.data());
  ASSERT_OK(resample_on_host({&good, 1}));
  struct Case {
    const char* problem;
    void (*spoil)(ResampleTask&);
  };
  const Case cases[] = {
      {"edge of the picture", [](ResampleTask& task) { task.picture.width = 0; }},
      {"edge of the picture", [](ResampleTask& task) { task.picture.height = 65536; }},
      {"pitch", [](ResampleTask& task) { task.picture.pitch = 119; }},
      {"multiple of 4", [](ResampleTask& task) { ++task.picture.rgb; }},
      {"within the result", [](ResampleTask& task) { task.part.left = 1; }},
      {"within the output", [](ResampleTask& task) { task.output.top = 1; }},
      {"type", [](ResampleTask& task) { task.output.type = ElementType::kInt64; }},
      {"shrunk", [](ResampleTask& task) { task.shrink = 3; }},
      {"aligned", [](ResampleTask& task) { task.output.data = nullptr; }},
      {"two steps",
       [](ResampleTask& task) {
         task.picture.width = 65535, task.picture.pitch = 65535 * 3;
         task.part = {1, 15, 0, 0, 1, 15};
       }},
  };
  for (const auto& [problem, spoil] : cases) {
    std::vector<ResampleTask> tasks{good, good};
    spoil(tasks[1]);
    const Status status = resample_on_host(tasks);
    ASSERT_FALSE(status) << problem;
    EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(status.error().message.find(problem), std::string::npos) << status.error().message;
    EXPECT_NE(status.error().message.find("task 1"), std::string::npos) << status.error().message;
  }
  EXPECT_FALSE(read_luma(40, 30, {}));
}

TEST(GpuResample, ScratchMemoryHasABound) {
  const DevicePicture large{nullptr, 4000, 3000, 12000, 6};
  const std::vector<ResampleTask> many(500, reduce_task(large, 640, nullptr)), one(1, many[0]);
  EXPECT_LE(resample_scratch(many), std::size_t{128} << 20);
  EXPECT_GT(resample_scratch(many), 8 * resample_scratch(one));
  EXPECT_EQ(resample_scratch({}), 0U);
}

}  // namespace
}  // namespace image_engine::gpu
