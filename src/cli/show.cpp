#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/app.h"
#include "cli/contact_sheet.h"
#include "cli/drawing.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/transcript.h"
#include "cli/video_files.h"
#include "cli/write_target.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "pipeline/analyze.h"
#include "pipeline/query_picture.h"
#include "pipeline/stages.h"
#include "pipeline/thumbnails.h"
#include "pipeline/video_document.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

constexpr char kShowExamples[] = R"(
Examples:
  image-engine show IMG_0042.jpg
  image-engine show IMG_0042.jpg --json | jq .gps
  image-engine show IMG_0042.jpg --thumbnail 1024      (prints the path of a JPEG)
  image-engine show IMG_0042.jpg --draw /tmp/boxes.png (what was found, drawn on the photo)
  image-engine show IMG_0042.jpg --draw /tmp/masks.jpg --masks
  image-engine show MVI_0007.mp4 --contact-sheet /tmp/scenes.jpg
  image-engine show MVI_0007.mp4 --at 1:23 --draw /tmp/frame.jpg
  image-engine show MVI_0007.mp4 --at 0:12-0:20 --clip /tmp/part.mp4
  image-engine show MVI_0007.mp4 --preview /tmp/preview.webp
  image-engine show MVI_0007.mp4 --transcript          (what is said; --format vtt: as subtitles)
  image-engine show --path-base64 L3Bob3Rvcy/pLmpwZw==)";

struct ShowFlags {
  std::string file, path_base64;
  std::uint32_t thumbnail = 0;
  std::string draw, contact_sheet, clip, preview, at;
  bool transcript = false, masks = false;
  std::string format = "text";  // of the transcript
  std::uint32_t edge = 0;       // of pictures that are written, pixels; 0: not given
  [[nodiscard]] std::uint32_t drawn_edge() const { return edge > 0 ? edge : 2048; }
};

Result<std::string> path_of(const ShowFlags& flags) {
  if (flags.path_base64.empty() == flags.file.empty())
    return fail(ErrorCode::kInvalidArgument, "show takes a FILE or --path-base64");
  if (flags.path_base64.empty()) return absolute_path(flags.file);
  return base64_decode(flags.path_base64);
}

// Nested values on separate lines, indented; omits values that are only for programs.
void print_value(const std::string& name, const nlohmann::json& value, int indent) {
  const std::string lead(static_cast<size_t>(indent) * 2, ' ');
  if (value.is_object()) {
    print_line(lead + name);
    for (const auto& [key, inner] : value.items()) print_value(key, inner, indent + 1);
  } else if (value.is_array() && !value.empty() && value.front().is_object()) {
    print_line(lead + name);
    for (const nlohmann::json& item : value) {
      std::string line;
      for (const auto& [key, inner] : item.items())
        line += fmt::format("{}{} {}", line.empty() ? "" : ", ", key,
                            inner.is_string() ? inner.get<std::string>() : json_text(inner));
      print_line(lead + "  " + printable(line));
    }
  } else if (value.is_array()) {
    std::string line;
    for (const nlohmann::json& item : value)
      line +=
          fmt::format("{}{}", line.empty() ? "" : ", ", item.is_string() ? item.get<std::string>() : json_text(item));
    if (!line.empty()) print_line(fmt::format("{}{:<{}} {}", lead, name, 16 - indent * 2, printable(line)));
  } else {
    print_line(fmt::format("{}{:<{}} {}", lead, name, 16 - indent * 2,
                           printable(value.is_string() ? value.get<std::string>() : json_text(value))));
  }
}

// For a video: the time of the best frame of its first scene.
Result<double> thumbnail_time(const store::CatalogueReader& reader, const store::AssetRecord& record) {
  if (record.kind != MediaKind::kVideo) return -1.0;
  IE_TRY(const nlohmann::json video, pipeline::video_json(reader, record));
  const nlohmann::json& scenes = video["scenes"];
  return scenes.empty() ? 0.0 : scenes[0].value("best", 0.0);
}

Result<int> print_thumbnail(const Context& context, const store::CatalogueReader& reader,
                            const store::AssetRecord& record, std::uint32_t edge) {
  if (!record.hash) return fail(ErrorCode::kNotFound, "this file has not been read yet: run image-engine analyze");
  IE_TRY(const double at, thumbnail_time(reader, record));
  IE_TRY(const std::unique_ptr<worker::Pool> pool, worker::Pool::create(pipeline::pool_options(context.config)));
  const auto quality = static_cast<std::uint32_t>(context.config.thumbnails.quality);
  IE_TRY(const std::string path,
         pipeline::ThumbnailCache().make(*record.hash, record.files.front().seen, edge, quality, *pool, at));
  if (context.json)
    print_json("thumbnail", {{"path", to_utf8(path)}, {"edge", edge}});
  else
    print_line(path);
  return kDone;
}

using Encode = Result<std::vector<std::byte>> (Canvas::*)() const;
Result<Encode> encoder_of(const std::string& target) {
  const std::string extension = lower_extension(target);
  if (extension == ".png") return &Canvas::png;
  if (extension == ".jpg" || extension == ".jpeg") return &Canvas::jpeg;
  return fail(ErrorCode::kInvalidArgument,
              "pictures are written as PNG or JPEG: name a file that ends in .png or .jpg");
}

Result<Encode> encoder_for(const store::CatalogueReader& reader, const std::string& target) {
  IE_TRY(const Encode encode, encoder_of(target));
  IE_CHECK(check_target(reader, target));
  return encode;
}

Result<int> write_clip_of(const Context& context, const store::CatalogueReader& reader,
                          const store::AssetRecord& record, const std::string& path, const ShowFlags& flags) {
  const std::string target = absolute_path(flags.clip);
  IE_CHECK(check_new(reader, target));
  return cut_clip(context, record, path, flags.at, target);
}

Result<int> write_preview_of(const Context& context, const store::CatalogueReader& reader,
                             const store::AssetRecord& record, const std::string& path, const ShowFlags& flags) {
  const std::string target = absolute_path(flags.preview);
  IE_CHECK(check_new(reader, target));
  return animate(context, reader, record, path, target);
}

// Of a photo what was found in it; of a video what was found in the frame that is shown at `at`.
Result<nlohmann::json> findings_of(const store::CatalogueReader& reader, const store::AssetRecord& record,
                                   std::optional<double> at) {
  if (!at) return store::asset_json(record, pipeline::json_sections());
  IE_TRY(nlohmann::json frame, pipeline::frame_json(reader, record.id, *at));
  return frame.is_null() ? nlohmann::json::object() : std::move(frame);
}

Result<std::optional<double>> time_of(const ShowFlags& flags, const store::AssetRecord& record,
                                      const std::string& path) {
  const bool is_video = record.kind == MediaKind::kVideo;
  if (flags.at.empty()) {
    if (is_video && !flags.draw.empty())
      return fail(ErrorCode::kInvalidArgument, printable(path) + " is a video: --at 1:23 names the frame to draw");
    return std::nullopt;
  }
  if (!is_video) return fail(ErrorCode::kInvalidArgument, printable(path) + " is not a video: --at is for videos");
  const std::optional<double> at = parse_clock(flags.at);
  if (!at)
    return fail(ErrorCode::kInvalidArgument, printable(flags.at) + " is not a time: write 1:23, 1:02:03 or 83.5");
  return at;
}

Status require_masks(const nlohmann::json& asset, const store::AssetRecord& record, const std::string& path) {
  if (record.kind != MediaKind::kPhoto)
    return fail(ErrorCode::kInvalidArgument, printable(path) + " is not a photo: masks are kept of photos only");
  if (asset.contains("masks") && !asset["masks"].empty()) return {};
  const bool segmented = std::ranges::any_of(
      record.records, [](const store::Record& one) { return one.key.stage == pipeline::kSegmentationStage; });
  return fail(ErrorCode::kNotFound,
              segmented ? fmt::format("{} has no masks: the models found nothing there (image-engine analyze FILE "
                                      "--redo segmentation asks them again)",
                                      printable(path))
                        : fmt::format("{0} has no masks yet: image-engine analyze {0} --segment", printable(path)));
}

Result<int> draw(const Context& context, const store::CatalogueReader& reader, const store::AssetRecord& record,
                 const std::string& path, const ShowFlags& flags) {
  const std::string target = absolute_path(flags.draw);
  IE_TRY(const Encode encode, encoder_for(reader, target));
  IE_TRY(const std::optional<double> at, time_of(flags, record, path));
  IE_TRY(const nlohmann::json asset, findings_of(reader, record, at));
  if (flags.masks) IE_CHECK(require_masks(asset, record, path));
  std::vector<std::string> notes;
  const Result<Font> loaded = Font::open();
  const std::optional<Font> font = loaded ? std::optional(*loaded) : std::nullopt;
  if (!loaded) notes.push_back("without text: " + loaded.error().message);
  if (!asset.contains("objects")) notes.emplace_back("objects were not detected yet: run image-engine analyze");
  Drawn drawn;
  std::uint32_t width = 0, height = 0;
  const auto see = [&](const ImageView& picture, preprocess::FullSize full) -> Status {
    Canvas canvas(picture);
    drawn = draw_findings(canvas, font, asset, full.width, full.height, flags.masks ? DrawMasks::kYes : DrawMasks::kNo);
    width = canvas.width();
    height = canvas.height();
    IE_TRY(const std::vector<std::byte> bytes, (canvas.*encode)());
    return write_file_atomically(target, bytes);
  };
  const std::uint32_t orientation = record.metadata ? record.metadata->orientation : 0;
  IE_CHECK(at ? pipeline::with_frames(path, context.config, flags.drawn_edge(), {&*at, 1}, see)
              : pipeline::with_picture(path, context.config, flags.drawn_edge(), see, orientation));
  if (context.json) {
    nlohmann::json json = {{"width", width},       {"height", height},       {"objects", drawn.objects},
                           {"texts", drawn.texts}, {"labels", drawn.labels}, {"notes", notes}};
    if (flags.masks) json["masks"] = drawn.masks;
    store::put_path(json, target);
    print_json("drawing", json);
    return kDone;
  }
  print_line(printable(target));
  if (context.quiet) return kDone;
  for (const std::string& note : notes) print_line(styled(context, Style::kYellow, printable(note)));
  print_line(styled(
      context, Style::kDim,
      fmt::format("{} × {}: {}{}, {}, {}", width, height, flags.masks ? human_count(drawn.masks, "mask") + ", " : "",
                  human_count(drawn.objects, "object"), human_count(drawn.texts, "line of text", "lines of text"),
                  human_count(drawn.labels, "scene or label", "scenes and labels"))));
  return kDone;
}

Result<int> draw_contact_sheet(const Context& context, const store::CatalogueReader& reader,
                               const store::AssetRecord& record, const std::string& path, const ShowFlags& flags) {
  const std::string target = absolute_path(flags.contact_sheet);
  IE_TRY(const Encode encode, encoder_for(reader, target));
  if (record.kind != MediaKind::kVideo)
    return fail(ErrorCode::kInvalidArgument, printable(path) + " is not a video: --contact-sheet is for videos");
  IE_TRY(const nlohmann::json video, pipeline::video_json(reader, record));
  std::vector<double> times;
  for (const nlohmann::json& scene : video["scenes"]) times.push_back(scene.value("best", scene.value("from", 0.0)));
  IE_TRY(const Canvas sheet, contact_sheet(context, path, std::move(times), flags.drawn_edge()));
  IE_TRY(const std::vector<std::byte> bytes, (sheet.*encode)());
  IE_CHECK(write_file_atomically(target, bytes));
  if (context.json) {
    nlohmann::json json = {{"width", sheet.width()}, {"height", sheet.height()}, {"scenes", video["scenes"].size()}};
    store::put_path(json, target);
    print_json("contact-sheet", json);
    return kDone;
  }
  print_line(printable(target));
  if (!context.quiet)
    print_line(styled(
        context, Style::kDim,
        fmt::format("{} × {}: {}", sheet.width(), sheet.height(), human_count(video["scenes"].size(), "scene"))));
  return kDone;
}

// For people: what is more likely than not, the surest first, and not too much of it.
std::vector<nlohmann::json> surest(const nlohmann::json& found) {
  constexpr double kLeast = 0.5;
  constexpr std::size_t kMost = 8;
  std::vector<nlohmann::json> list;
  for (const nlohmann::json& item : found)
    if (item.value("confidence", 0.0) >= kLeast) list.push_back(item);
  std::ranges::stable_sort(list, std::greater<>(),
                           [](const nlohmann::json& item) { return item.value("confidence", 0.0); });
  if (list.size() > kMost) list.resize(kMost);
  return list;
}

// A stand-in's guess is called so.
std::string action_text(const nlohmann::json& action) {
  const bool guessed = action.value("source", "").starts_with("zero-shot");
  return action.value("action", "") + (guessed ? " (zero-shot)" : "");
}

void print_range(const nlohmann::json& range, const std::string& what) {
  print_line(
      fmt::format("  {:>9}–{:<9} {}", clock_text(range.value("from", 0.0)), clock_text(range.value("to", 0.0)), what));
}

}  // namespace

void print_timeline(const nlohmann::json& video) {
  for (const nlohmann::json& moment : video.value("moments", nlohmann::json::array())) {
    std::string what;
    const auto add = [&](const std::string& text) { what += (what.empty() ? "" : ", ") + text; };
    for (const nlohmann::json& object : surest(moment["objects"])) {
      const auto count = object.value("count", 1);
      add(object.value("object", "") + (count > 1 ? fmt::format(" × {}", count) : ""));
    }
    for (const nlohmann::json& scene : surest(moment["scenes"])) add(scene.value("label", ""));
    for (const nlohmann::json& action : moment["actions"]) add(action_text(action));
    for (const nlohmann::json& sound : moment.value("sounds", nlohmann::json::array())) add(sound.value("label", ""));
    for (const nlohmann::json& product : moment.value("products", nlohmann::json::array()))
      add(product.value("class", ""));
    for (const nlohmann::json& text : moment["text"]) add("“" + text.get<std::string>() + "”");
    print_range(moment, what.empty() ? "–" : printable(what));
    for (const nlohmann::json& caption : moment.value("captions", nlohmann::json::array()))
      print_line(fmt::format("  {:19} {}", "", printable(caption.get<std::string>())));
    for (const nlohmann::json& said : moment.value("said", nlohmann::json::array()))
      print_line(fmt::format("  {:19} said: {}", "", printable(said.value("text", ""))));
  }
  const nlohmann::json actions = video.value("actions", nlohmann::json::array());
  if (!actions.empty()) print_line("  actions");
  for (const nlohmann::json& action : actions) print_range(action, printable(action_text(action)));
}

Action setup_show(Arguments app, Settings&) {
  auto flags = std::make_shared<ShowFlags>();
  app.add_option("FILE", flags->file, "A file that was analyzed");
  app.add_option("--path-base64", flags->path_base64, "The file by the exact bytes of its path, as --json gives them")
      .type_name("BASE64");
  app.add_option("--thumbnail", flags->thumbnail, "Make a JPEG whose longer edge has N pixels; print its path")
      .type_name("N")
      .range(16, 4096);
  const Option target =
      app.add_option("--draw", flags->draw, "Write the photo with boxes, labels and text drawn on it, as PNG or JPEG")
          .type_name("OUT");
  app.add_flag("--masks", flags->masks, "Also draw the masks that analyze --segment has kept").needs(target);
  app.add_option("--at", flags->at, "For a video: the time of the frame that --draw draws on; FROM-TO for --clip")
      .type_name("TIME");
  const Option sheet = app.add_option("--contact-sheet", flags->contact_sheet,
                                      "Write the best frame of each scene of a video, as PNG or JPEG")
                           .type_name("OUT")
                           .excludes(target);
  app.add_option("--clip", flags->clip,
                 "Write the part of a video that --at FROM-TO names without encoding it anew, as .mp4, .mov, .mkv or "
                 ".webm")
      .type_name("OUT")
      .excludes(target)
      .excludes(sheet);
  app.add_option("--preview", flags->preview, "Write a video as a short animation without sound, as WebP")
      .type_name("OUT")
      .excludes(target)
      .excludes(sheet);
  const Option transcript =
      app.add_flag("--transcript", flags->transcript, "Print what is said in a video or a recording").excludes(target);
  app.add_option("--format", flags->format, "How --transcript prints it (text)")
      .type_name("FORMAT")
      .one_of({"text", "vtt", "srt", "json"})
      .needs(transcript);
  app.add_option("--edge", flags->edge, "The longest edge of the --draw and --contact-sheet output, pixels (2048)")
      .type_name("N")
      .range(16, 16384);
  app.footer(kShowExamples);
  return [flags](Context& context) -> Result<int> {
    if (!flags->clip.empty() && !flags->preview.empty())
      return fail(ErrorCode::kInvalidArgument, "--clip and --preview are written by two calls");
    const bool writes = !flags->clip.empty() || !flags->preview.empty() || !flags->contact_sheet.empty();
    if (flags->transcript && writes)
      return fail(ErrorCode::kInvalidArgument,
                  "--transcript prints text: --clip, --preview and --contact-sheet are written by another call");
    if (flags->edge > 0 && flags->draw.empty() && flags->contact_sheet.empty())
      return fail(ErrorCode::kInvalidArgument, "--edge is of --draw and --contact-sheet");
    IE_TRY(const std::string path, path_of(*flags));
    IE_TRY(const store::CatalogueReader reader, open_reader(context));
    const Result<store::AssetId> id = reader.find_asset_by_path(path);
    if (!id && id.error().code == ErrorCode::kNotFound) {
      const std::string one[] = {path};
      IE_TRY(const std::vector<store::Failure> failures, reader.list_failures(one));
      if (failures.empty())
        return fail(ErrorCode::kNotFound, printable(path) + " is not in the catalogue: image-engine analyze adds it");
      return fail(failures.front().error.code, printable(path) + ": " + failures.front().error.message);
    }
    if (!id) return fail(id.error());
    IE_TRY(const store::AssetRecord record, reader.asset_record(*id, path));
    if (flags->transcript)
      return print_transcript(context, reader, record, path,
                              audio::transcript_format(flags->format).value_or(audio::TranscriptFormat::kText),
                              flags->format == "json");
    if (!flags->draw.empty()) return draw(context, reader, record, path, *flags);
    if (!flags->contact_sheet.empty()) return draw_contact_sheet(context, reader, record, path, *flags);
    if (!flags->clip.empty()) return write_clip_of(context, reader, record, path, *flags);
    if (!flags->preview.empty()) return write_preview_of(context, reader, record, path, *flags);
    if (flags->thumbnail > 0) return print_thumbnail(context, reader, record, flags->thumbnail);
    IE_TRY(nlohmann::json json, pipeline::video_json(reader, record));
    if (context.json) {
      print_json("show", json);
      return kDone;
    }
    print_line(styled(context, Style::kBold, printable(path)));
    if (record.metadata && record.metadata->taken) json["taken"] = record.metadata->taken->known_iso();
    for (const char* first : {"media", "width", "height", "taken", "taken_precision", "taken_from", "user_rating",
                              "user_title", "labels", "title", "description", "keywords", "people"})
      if (json.contains(first)) print_value(first, json[first], 1), json.erase(first);
    json.erase("path");
    if (json.contains("masks") && json["masks"].is_array())
      for (nlohmann::json& mask : json["masks"])
        if (mask.is_object()) mask.erase("segmentation");
    const nlohmann::json video = {{"moments", json.value("moments", nlohmann::json::array())},
                                  {"actions", json.value("actions", nlohmann::json::array())}};
    for (const char* long_list : {"scenes", "frames", "moments", "actions"}) json.erase(long_list);
    for (const auto& [key, value] : json.items())
      if (!value.empty() || value.is_number() || value.is_boolean()) print_value(key, value, 1);
    if (!video["moments"].empty()) print_line("  moments"), print_timeline(video);
    return kDone;
  };
}

}  // namespace image_engine::cli
