#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli/app.h"
#include "cli/output.h"
#include "cli/photo_outputs.h"
#include "cli/prompt_flags.h"
#include "cli/video_progress.h"
#include "core/elapsed.h"
#include "core/file.h"
#include "core/json.h"
#include "core/progress.h"
#include "core/text.h"
#include "infer/run_watch.h"
#include "pipeline/analyze.h"
#include "pipeline/segment.h"
#include "pipeline/video_cutout.h"
#include "store/asset_json.h"
#include "vision/cut_out.h"
#include "vision/masks.h"
#include "vision/outlines.h"
#include "worker/decode_file.h"
#include "worker/encode_pixels.h"

namespace image_engine::cli {
namespace {

constexpr char kSegmentExamples[] = R"(
Examples:
  image-engine segment photo.jpg --target person -o cut.png
  image-engine segment photo.jpg --target subject -o mask.png --as mask
  image-engine segment photo.jpg --target subject -o masks.json     (COCO's run lengths, and polygons)
  image-engine segment ~/Pictures/trip --target subject -o /tmp/out --each
  image-engine segment *.jpg --target background -o /tmp/out --as cutout --format webp
  image-engine segment clip.mp4 --target person -o cut.webm         (VP9 with transparency; .mov: ProRes 4444)
  image-engine segment clip.mp4 --target person -o mask.mp4 --as mask
  image-engine segment photo.jpg --point 1200,830 --not 1450,900 -o cut.png      (in pixels of the upright photo)
  image-engine segment photo.jpg --box 900,400,800,1200 -o cut.png
  image-engine segment photo.jpg --text "the red car" -o cut.png

OUT is a file for one photo, by its ending .png, .webp or .json, or for one video, .webm, .mov or .mp4, else a folder.
Photos and videos are never written to.
Targets: subject, person, background, or a class of an installed model. Models: image-engine models pull selfie (people);
models pull isnet --accept-licence (any subject). For points, boxes and words, models whose files are yours to bring:
docs/segmentation.md has more.)";

constexpr char kClosedForm[] = "closed-form";

struct SegmentFlags {
  std::vector<std::string> files;
  std::string target = "subject", out, as, format = "png", video_format = "webm";
  std::uint32_t quality = 90;
  bool each = false, force = false, rough = false;
  std::string model = "auto", matting = "guided";
  PromptFlags prompts;
};

enum class Product : std::uint8_t { kCutout, kMask, kJson };
struct ProductRow {
  const char* name;
  Product product;
};
constexpr std::array kProducts = {ProductRow{"cutout", Product::kCutout}, ProductRow{"mask", Product::kMask},
                                  ProductRow{"json", Product::kJson}};
struct EndingRow {
  const char* ending;
  const char* format;  // of a picture; null: JSON, or a video
  bool is_video = false;
  Product product = Product::kCutout;  // of a video
};
constexpr std::array kEndings = {EndingRow{".png", "png"},         EndingRow{".webp", "webp"},
                                 EndingRow{".json", nullptr},      EndingRow{".webm", nullptr, true},
                                 EndingRow{".mov", nullptr, true}, EndingRow{".mp4", nullptr, true, Product::kMask}};

// Where outputs go and what they are.
struct OutputPlan {
  Product product = Product::kCutout;
  worker::PictureFormat format = worker::PictureFormat::kPng;
  std::string folder;
  std::optional<std::string> name;   // of the only output, without its ending; else named after the photos
  std::string ending, video_ending;  // empty: there is no such output
};

Status check_ending(const SegmentFlags& flags, const EndingRow& row, Product product,
                    const std::vector<std::string>& files) {
  if (files.size() != 1)
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is one file, for one photo or video; there are {}: name a folder", printable(flags.out),
                            files.size()));
  const bool is_json = row.format == nullptr && !row.is_video;
  if (is_json != (product == Product::kJson) || (row.is_video && product != row.product))
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} cannot hold what --as {} makes", printable(flags.out),
                                                         flags.as.empty() ? "cutout" : flags.as));
  if (row.is_video == is_video(files[0])) return {};
  return fail(ErrorCode::kInvalidArgument, fmt::format("{} cannot hold what is made of a {}", printable(flags.out),
                                                       row.is_video ? "photo" : "video"));
}

Result<OutputPlan> output_plan(const SegmentFlags& flags, const std::vector<std::string>& files) {
  OutputPlan plan;
  const std::string out = absolute_path(flags.out), ending = lower_extension(out);
  const auto* const row = std::ranges::find(kEndings, ending, &EndingRow::ending);
  const bool is_file = row != kEndings.end();
  if (!flags.as.empty())
    plan.product = std::ranges::find(kProducts, flags.as, &ProductRow::name)->product;
  else if (is_file && row->format == nullptr && !row->is_video)
    plan.product = Product::kJson;
  if (is_file) IE_CHECK(check_ending(flags, *row, plan.product, files));
  const std::string format = is_file && row->format != nullptr ? row->format : flags.format;
  plan.format = format == "webp" ? worker::PictureFormat::kWebp : worker::PictureFormat::kPng;
  plan.ending = plan.product == Product::kJson ? ".json" : "." + format;
  plan.video_ending = plan.product == Product::kMask ? ".mp4" : "." + flags.video_format;
  plan.folder = is_file ? std::string(parent_path(out)) : out;
  if (!is_file) return plan;
  const std::string_view name = file_name(out);
  plan.name = std::string(name.substr(0, name.size() - ending.size()));
  (row->is_video ? plan.video_ending : plan.ending) = std::string(name.substr(name.size() - ending.size()));
  return plan;
}

std::uint8_t inside(std::uint8_t alpha) { return alpha >= 128 ? 255 : 0; }

constexpr double kOutlineTolerance = 1;  // pixels

// Whole pixels of the photo, as [x, y, width, height].
nlohmann::json box_json(const Box& box) {
  return {std::lround(box.x), std::lround(box.y), std::lround(box.width), std::lround(box.height)};
}

nlohmann::json subject_json(const pipeline::Subject& subject) {
  nlohmann::json out = {{"box", box_json(subject.box)}, {"share", rounded(subject.share, 4)}};
  if (!subject.label.empty()) out["class"] = to_utf8(subject.label);
  if (subject.confidence > 0) out["confidence"] = rounded(static_cast<double>(subject.confidence), 3);
  return out;
}

// COCO's segmentation of the pixels inside, and their outlines.
nlohmann::json mask_json(vision::Mask mask) {
  std::ranges::transform(mask.pixels, mask.pixels.begin(), inside);
  return {{"segmentation",
           {{"size", {mask.height, mask.width}}, {"counts", vision::coco_counts(vision::run_lengths(mask))}}},
          {"polygons", vision::outlines(mask, kOutlineTolerance)}};
}

struct WrittenPicture {
  std::string path;
  std::optional<std::size_t> subject;  // which of the subjects; nullopt: all of it
};
struct SegmentResult {
  pipeline::Segmented found;
  pipeline::Subjects subjects;
  std::optional<pipeline::CutoutVideo> video;  // then the above are empty
  std::vector<WrittenPicture> files;
  double seconds = 0;
};

class SegmentRun {
 public:
  SegmentRun(const Context& context, const SegmentFlags& flags, OutputPlan plan, worker::Pool& pool,
             const OutputFolder& folder, pipeline::PictureSegmenter& segmenter, std::optional<vision::Prompts> prompts)
      : context_(context),
        flags_(flags),
        plan_(std::move(plan)),
        pool_(pool),
        folder_(folder),
        segmenter_(segmenter),
        prompts_(std::move(prompts)),
        target_(target_name(flags, prompts_)) {}

  Result<int> all(const std::vector<std::string>& photos) {
    const std::vector<std::string> names = output_names(photos);
    Progress progress("segment", photos.size(), !context_.quiet);
    VideoProgress video(progress);
    progress.append_text([&] { return video.text(); });
    for (std::size_t i = 0; i < photos.size() && !interrupted(); ++i) {
      const std::string name = plan_.name.value_or(fmt::format("{}-{}", names[i], name_part(target_)));
      const auto start = std::chrono::steady_clock::now();
      model_missing_ = false;
      Result<SegmentResult> result =
          is_video(photos[i]) ? one_video(photos[i], name, video.begin()) : one(photos[i], name);
      video.end();
      if (!result && concerns_all(result.error().code)) return fail(result.error());
      if (!result && result.error().code == ErrorCode::kInterrupted) break;
      if (result) result->seconds = seconds_since(start);
      progress.add();
      report(photos[i], result);
    }
    if (context_.json) {
      nlohmann::json document = {{"target", to_utf8(target_)}, {"results", std::move(results_)}, {"failed", failed_}};
      if (prompts_) document["prompts"] = prompts_json(*prompts_);
      print_json("segment", document);
    }
    if (interrupted()) return kInterrupted;
    if (failed_ == 0) return kDone;
    return failed_ == photos.size() ? kFailed : kDoneWithFailures;
  }

 private:
  // Of a class, as a part of a file's name.
  static std::string name_part(std::string text) {
    std::ranges::replace_if(
        text, [](char c) { return c == '/' || c == ' ' || c == '\0'; }, '_');
    return text;
  }

  static std::string target_name(const SegmentFlags& flags, const std::optional<vision::Prompts>& prompts) {
    if (!prompts) return flags.target;
    return prompts->phrase.empty() ? pipeline::kSelectionLabel : prompts->phrase;
  }

  // A missing model is every photo's failure; nothing to be found is one photo's.
  [[nodiscard]] bool concerns_all(ErrorCode code) const {
    return is_of_the_run(code) || code == ErrorCode::kInvalidArgument ||
           (code == ErrorCode::kNotFound && model_missing_);
  }

  Result<SegmentResult> one(const std::string& photo, const std::string& name) {
    if (!flags_.each) IE_CHECK(folder_.path_of(name + plan_.ending));  // before the work
    Image picture;
    {
      IE_TRY(const worker::DecodedFile decoded, worker::decode_file(pool_, photo, {}));
      const ImageView pixels = decoded.pixels();
      picture = {pixels.width, pixels.height, {pixels.pixels.begin(), pixels.pixels.end()}};
    }
    const ImageView view{picture.width, picture.height, picture.pixels};
    Result<pipeline::Segmented> found =
        prompts_ ? segmenter_.select(view, *prompts_) : segmenter_.segment(view, flags_.target);
    model_missing_ = !found && !segmenter_.is_of_the_picture();
    if (!found) return fail(found.error());
    SegmentResult result{std::move(*found), {}, {}};
    IE_TRY(result.subjects, segmenter_.subjects(view, result.found));
    if (plan_.product == Product::kJson)
      IE_CHECK(write_json(photo, name, result));
    else
      IE_CHECK(write_pictures(view, name, result));
    return result;
  }

  Result<SegmentResult> one_video(const std::string& video, const std::string& name,
                                  const pipeline::VideoWatch& watch) {
    if (flags_.matting == kClosedForm)
      return fail(ErrorCode::kUnsupported, "closed-form matting is for photos: of a video it would take hours");
    if (plan_.product == Product::kJson || flags_.each)
      return fail(ErrorCode::kUnsupported,
                  "of a video a cut-out or a mask is made, as a video: no JSON, not each subject");
    pipeline::CutoutTask task;
    task.target = flags_.target;
    task.options = {.model = flags_.model, .refine = !flags_.rough};
    task.is_mask = plan_.product == Product::kMask;
    const std::string kind = ascii_lower(plan_.video_ending);
    task.format = *clip_format_of(kind);
    task.coding = task.is_mask ? VideoCoding::kOpaque : alpha_container(kind.substr(1)).coding;
    IE_TRY(std::string path, folder_.path_of(name + plan_.video_ending));
    if (!videos_) {
      IE_TRY(videos_, pipeline::video_workers(context_.config));
    }
    SegmentResult result;
    IE_TRY(result.video, pipeline::cut_out_of_video(*videos_, context_.config, video, task, path, watch));
    result.files.push_back({std::move(path), {}});
    return result;
  }

  Status write_pictures(const ImageView& picture, const std::string& name, SegmentResult& result) {
    if (!flags_.each) return write_picture(picture, result.found.alpha, name, {}, result);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < result.subjects.list.size(); ++i) {
      names.push_back(fmt::format("{}-{}", name, i + 1));
      IE_CHECK(folder_.path_of(names.back() + plan_.ending));
    }
    for (std::size_t i = 0; i < names.size(); ++i)
      IE_CHECK(write_picture(picture, pipeline::alpha_of(result.found, result.subjects, result.subjects.list[i]),
                             names[i], i, result));
    return {};
  }

  Status write_picture(const ImageView& picture, const std::vector<std::uint8_t>& alpha, const std::string& name,
                       std::optional<std::size_t> subject, SegmentResult& result) {
    const bool is_mask = plan_.product == Product::kMask;
    const std::vector<std::uint8_t> pixels = is_mask ? alpha : vision::cut_out(picture, alpha);
    worker::EncodeTask task{.width = picture.width,
                            .height = picture.height,
                            .channels = is_mask ? 1U : 4U,
                            .format = plan_.format,
                            .quality = is_mask ? 100 : flags_.quality};
    IE_TRY(const std::vector<std::byte> bytes, worker::encode_pixels(pool_, pixels, task));
    IE_TRY(std::string path, folder_.path_of(name + plan_.ending));
    IE_CHECK(write_file_atomically(path, bytes));
    result.files.push_back({std::move(path), subject});
    return {};
  }

  Status write_json(const std::string& photo, const std::string& name, SegmentResult& result) {
    const pipeline::Segmented& found = result.found;
    nlohmann::json document = {{"schema", "image-engine/masks/1"},
                               {"target", to_utf8(found.label)},
                               {"model", found.model},
                               {"width", found.width},
                               {"height", found.height}};
    store::put_path(document, photo);
    nlohmann::json masks = nlohmann::json::array();
    const auto add = [&](nlohmann::json about, std::vector<std::uint8_t> alpha) {
      about.update(mask_json({found.width, found.height, std::move(alpha)}));
      masks.push_back(std::move(about));
    };
    if (flags_.each)
      for (const pipeline::Subject& subject : result.subjects.list)
        add(subject_json(subject), pipeline::alpha_of(found, result.subjects, subject));
    else
      add({{"share", rounded(share(found.alpha), 4)}}, found.alpha);
    document["masks"] = std::move(masks);
    IE_TRY(std::string path, folder_.path_of(name + plan_.ending));
    IE_CHECK(write_file_atomically(path, json_text(document) + "\n"));
    result.files.push_back({std::move(path), {}});
    return {};
  }

  static double share(const std::vector<std::uint8_t>& alpha) {
    return static_cast<double>(std::ranges::count(alpha, 255, inside)) / static_cast<double>(alpha.size());
  }

  static nlohmann::json picture_json(const SegmentResult& result) {
    nlohmann::json out = nlohmann::json::object();
    out["model"] = {{"name", result.found.model}, {"precision", result.found.precision}};
    out["width"] = result.found.width, out["height"] = result.found.height;
    out["share"] = rounded(share(result.found.alpha), 4);
    out["seconds"] = {{"total", rounded(result.seconds, 4)},
                      {"model", rounded(result.found.model_seconds, 4)},
                      {"refine", rounded(result.found.refine_seconds, 4)}};
    if (const auto& iou = result.found.estimated_iou) out["estimated_iou"] = rounded(static_cast<double>(*iou), 3);
    out["subjects"] = nlohmann::json::array();
    for (const pipeline::Subject& subject : result.subjects.list) out["subjects"].push_back(subject_json(subject));
    return out;
  }

  static nlohmann::json video_json(const SegmentResult& result) {
    const pipeline::CutoutVideo& video = *result.video;
    nlohmann::json out = {{"model", {{"name", video.model}, {"precision", video.precision}}},
                          {"width", video.width},
                          {"height", video.height},
                          {"frames", video.file.summary.frames},
                          {"frames_found", video.found},
                          {"seconds", {{"total", rounded(result.seconds, 4)}}},
                          {"notes", video.file.summary.notes}};
    return out;
  }

  void report(const std::string& photo, const Result<SegmentResult>& result) {
    if (!result) {
      ++failed_;
      results_.push_back(failed_entry(context_, photo, result.error()));
      return;
    }
    nlohmann::json entry = file_entry(photo);
    entry.update(result->video ? video_json(*result) : picture_json(*result));
    entry["files"] = nlohmann::json::array();
    for (const WrittenPicture& file : result->files) {
      nlohmann::json written = nlohmann::json::object();
      store::put_path(written, file.path);
      if (file.subject) written["subject"] = *file.subject;
      entry["files"].push_back(std::move(written));
      if (!context_.json && !context_.quiet) print_line(file.path);
    }
    if (!context_.json && result->video)
      for (const std::string& note : result->video->file.summary.notes)
        std::fprintf(stderr, "segment: %s: %s\n", printable(photo).c_str(), printable(note).c_str());
    results_.push_back(std::move(entry));
  }

  const Context& context_;
  const SegmentFlags& flags_;
  OutputPlan plan_;
  worker::Pool& pool_;
  const OutputFolder& folder_;
  pipeline::PictureSegmenter& segmenter_;
  std::optional<vision::Prompts> prompts_;  // instead of a target
  std::string target_;                      // as documents and names of files have it
  std::unique_ptr<worker::Pool> videos_;    // started by the first video
  nlohmann::json results_ = nlohmann::json::array();
  std::uint64_t failed_ = 0;
  bool model_missing_ = false;  // the last kNotFound was of the models, not of a photo
};

// A point is of one photo, and so is what it means.
Status check_one_photo(const SegmentFlags& flags, const std::vector<std::string>& photos) {
  std::error_code error;
  if (photos.size() == 1 && !std::filesystem::is_directory(flags.files.front(), error) && !is_video(photos.front()))
    return {};
  return fail(ErrorCode::kInvalidArgument,
              "--point, --box and --text are for one photo: no folder, no video, not several; --target is for those");
}

Result<int> run_segment(const Context& context, const SegmentFlags& flags) {
  IE_CHECK(catch_interrupts());
  infer::set_run_limits({.stop = interruption()});
  IE_TRY(std::optional<vision::Prompts> prompts, prompts_of(flags.prompts));
  IE_TRY(const std::vector<std::string> photos, photos_of(flags.files));
  if (prompts) IE_CHECK(check_one_photo(flags, photos));
  IE_TRY(OutputPlan plan, output_plan(flags, photos));
  IE_TRY(const OutputFolder folder, OutputFolder::create(context, plan.folder, photos, flags.force));
  IE_TRY(pipeline::PictureSegmenter segmenter,
         pipeline::PictureSegmenter::open(context.config, {.model = flags.model,
                                                           .refine = !flags.rough,
                                                           .closed_form = flags.matting == kClosedForm,
                                                           .stop = interruption()}));
  worker::PoolOptions options = pipeline::pool_options(context.config);
  options.workers = 1;
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(options));
  return SegmentRun(context, flags, std::move(plan), *pool, folder, segmenter, std::move(prompts)).all(photos);
}

}  // namespace

Action setup_segment(Arguments app, Settings& /*settings*/) {
  auto flags = std::make_shared<SegmentFlags>();
  app.footer(kSegmentExamples);
  app.add_option("PATH", flags->files, "Photos and videos, or folders with them").required();
  const Option target =
      app.add_option("--target", flags->target, "subject, person, background, or a class that an installed model knows")
          .type_name("TARGET");
  add_prompt_flags(app, flags->prompts, target);
  app.add_option("-o,--output", flags->out,
                 "A file for one photo (.png, .webp, .json) or video (.webm, .mov, .mp4), or a folder")
      .required()
      .type_name("OUT");
  app.add_option("--as", flags->as, "What is written: cutout (the default), mask (grey: white is inside) or json")
      .one_of({"cutout", "mask", "json"});
  app.add_option("--format", flags->format, "Of pictures in a folder: png or webp").one_of({"png", "webp"});
  app.add_option("--video-format", flags->video_format,
                 "Of cut-outs of videos in a folder: webm (VP9) or mov (ProRes 4444)")
      .one_of({"webm", "mov"});
  app.add_option("--quality", flags->quality, "Of a WebP's colours: 1 to 100 (lossless)").range(1, 100);
  app.add_flag("--each", flags->each, "Each connected subject by itself, the largest first");
  app.add_option("--model", flags->model,
                 "An installed model of the task segmentation; for prompts, prompted-segmentation")
      .type_name("NAME");
  app.add_flag("--rough", flags->rough, "The model's mask enlarged, its edges not refined by the photo's");
  app.add_option("--matting", flags->matting,
                 "guided (the default), or closed-form: alpha by the photo's colours near edges; slow")
      .one_of({"guided", kClosedForm});
  app.add_flag("--force", flags->force, "Replace files that exist; never photos or videos");
  return [flags](Context& context) { return run_segment(context, *flags); };
}

}  // namespace image_engine::cli
