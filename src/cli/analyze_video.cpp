#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/app.h"
#include "cli/output.h"
#include "cli/report.h"
#include "cli/transcript.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "pipeline/analyze.h"
#include "pipeline/stages.h"
#include "pipeline/video_document.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

constexpr char kVideoExamples[] = R"(
Examples:
  image-engine analyze-video holiday.mp4                       (prints a timeline)
  image-engine analyze-video holiday.mp4 -o analysis.json
  image-engine analyze-video *.mp4 -o analyses/                (a document for each)
  image-engine analyze-video *.mp4 -o all.ndjson               (a line for each)
  image-engine analyze-video holiday.mp4 --fps 5 --fast --json | jq .moments
  image-engine analyze-video holiday.mp4 --subtitles vtt -o /tmp/holiday.vtt
  image-engine analyze-video speech.mp3 --language en --json | jq -r '.speech[].text'
  image-engine analyze-video holiday.mp4 --nvidia --dry-run    (lists the frames that would be sent to cloud models)

Videos become part of the catalogue, as by analyze: what was done before is not done again.)";

constexpr char kDocument[] = "video";

struct VideoFlags {
  std::vector<std::string> files;
  std::string output, fps, subtitles;
  bool fast = false, retry = false, wait = false;
  StageFlags stages;
  ModelFlags models;
  CloudFlags cloud;
};

Result<store::AssetRecord> record_of(const store::CatalogueReader& reader, const std::string& path) {
  const Result<store::AssetId> id = reader.find_asset_by_path(path);
  if (!id && id.error().code != ErrorCode::kNotFound) return fail(id.error());
  if (!id) {
    const std::string one[] = {path};
    IE_TRY(const std::vector<store::Failure> failures, reader.list_failures(one));
    return failures.empty()
               ? fail(ErrorCode::kUnsupported, printable(path) + ": this is neither a video nor a recording")
               : fail(failures.front().error.code, printable(path) + ": " + failures.front().error.message);
  }
  return reader.asset_record(*id, path);
}

// "image-engine/video/1" and so on, in the order of print_json().
Result<nlohmann::json> document_of(const store::CatalogueReader& reader, const std::string& path,
                                   const pipeline::AnalyzeReport& report) {
  IE_TRY(const store::AssetRecord record, record_of(reader, path));
  if (record.kind != MediaKind::kVideo && record.kind != MediaKind::kAudio)
    return fail(ErrorCode::kUnsupported,
                printable(path) + ": this is neither a video nor a recording: image-engine analyze takes other files");
  IE_TRY(nlohmann::json document, pipeline::video_json(reader, record));
  document["timings"] = {{"seconds", thousandths(report.seconds)},
                         {"videos_seconds", thousandths(report.videos.seconds)},
                         {"video_seconds", thousandths(report.video_seconds)},
                         {"sounds_seconds", thousandths(report.sounds.seconds)},
                         {"sound_seconds", thousandths(report.sound_seconds)}};
  return document;
}

// Where several documents go: a folder, or a file of lines.
struct Output {
  enum class Kind { kTimeline, kStdout, kFile, kFolder, kLines } kind = Kind::kTimeline;
  std::string path;
};

Result<Output> output_of(const VideoFlags& flags, bool json) {
  if (flags.output.empty()) return Output{json ? Output::Kind::kStdout : Output::Kind::kTimeline, ""};
  const std::string path = absolute_path(flags.output);
  std::error_code ignored;
  const bool folder = flags.output.ends_with('/') || std::filesystem::is_directory(path, ignored);
  if (folder) return Output{Output::Kind::kFolder, path};
  IE_CHECK(check_json_target(path));
  if (lower_extension(path) == ".ndjson") return Output{Output::Kind::kLines, path};
  if (flags.files.size() > 1)
    return fail(ErrorCode::kInvalidArgument,
                "several videos go to a folder (-o NAME/) or to lines of JSON (-o NAME.ndjson)");
  return Output{Output::Kind::kFile, path};
}

// analysis of holiday.mp4 → holiday.json; a second holiday.mov → holiday-2.json.
std::string name_in(const std::string& folder, const std::string& video, std::set<std::string>& taken) {
  const std::string stem = std::filesystem::path(video).stem().string();
  std::string name = stem + ".json";
  for (int i = 2; !taken.insert(name).second; ++i) name = fmt::format("{}-{}.json", stem, i);
  return join_path(folder, name);
}

void print_video(const Context& context, const std::string& path, const nlohmann::json& document) {
  print_line(styled(context, Style::kBold, printable(path)));
  const std::size_t said = document["speech"].size();
  std::string found = human_count(said, "segment of speech", "segments of speech");
  if (document["media"] == kind_name(MediaKind::kVideo))
    found = fmt::format("{}, {}{}", human_count(document["scenes"].size(), "scene"),
                        human_count(document["frames"].size(), "frame"), said == 0 ? "" : ", " + found);
  print_line(styled(context, Style::kDim, "  " + found));
  print_timeline(document);
}

Result<int> write_documents(const Context& context, const VideoFlags& flags, const Output& output,
                            const pipeline::AnalyzeReport& report) {
  IE_TRY(const store::CatalogueReader reader, open_reader(context));
  if (output.kind == Output::Kind::kFolder) IE_CHECK(make_folders(output.path, 0777));
  std::string lines;
  std::set<std::string> taken;
  int code = kDone;
  for (const std::string& file : flags.files) {
    const std::string path = absolute_path(file);
    Result<nlohmann::json> document = document_of(reader, path, report);
    if (!document) {
      if (flags.files.size() == 1) return fail(document.error());
      std::fprintf(stderr, "image-engine: %s\n", document.error().message.c_str());
      code = kDoneWithFailures;
      continue;
    }
    if (!(*document)["failures"].empty()) code = kDoneWithFailures;
    switch (output.kind) {
      case Output::Kind::kTimeline:
        print_video(context, path, *document);
        break;
      case Output::Kind::kStdout:
        print_json(kDocument, *document);
        break;
      case Output::Kind::kFile:
        IE_CHECK(write_json(kDocument, *document, output.path));
        break;
      case Output::Kind::kFolder:
        IE_CHECK(write_json(kDocument, *document, name_in(output.path, path, taken)));
        break;
      case Output::Kind::kLines:
        lines += json_text(*document) + "\n";
        break;
    }
  }
  if (output.kind == Output::Kind::kLines)
    IE_CHECK(write_file_atomically(output.path, std::as_bytes(std::span<const char>(lines))));
  return code;
}

Result<int> write_all_subtitles(const Context& context, const VideoFlags& flags, const SubtitleOutput& output) {
  IE_TRY(const store::CatalogueReader reader, open_reader(context));
  std::vector<std::string> made;
  int code = kDone;
  for (const std::string& file : flags.files) {
    const std::string path = absolute_path(file);
    const Result<store::AssetRecord> record = record_of(reader, path);
    const Status written = record ? write_subtitles(reader, *record, path, output, made) : Status(fail(record.error()));
    if (written) continue;
    if (flags.files.size() == 1) return fail(written.error());
    std::fprintf(stderr, "image-engine: %s\n", written.error().message.c_str());
    code = kDoneWithFailures;
  }
  return code;
}

}  // namespace

Status check_video_files(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    struct stat info {};
    if (::stat(file.c_str(), &info) != 0) return fail(ErrorCode::kNotFound, printable(file) + ": no such file");
    if (!S_ISREG(info.st_mode))
      return fail(ErrorCode::kInvalidArgument, printable(file) + " is no file: analyze takes folders");
  }
  return {};
}

Action setup_analyze_video(Arguments app, Settings& settings) {
  auto flags = std::make_shared<VideoFlags>();
  app.add_option("FILE", flags->files, "Videos and recordings").required();
  const Option output = app.add_option("-o,--output", flags->output,
                                       "Where the document goes: a file; of several videos a folder or .ndjson")
                            .type_name("OUT");
  app.add_option("--subtitles", flags->subtitles,
                 "Print what is said instead, or write it to OUT: subtitles, or paragraphs with their times")
      .type_name("FORMAT")
      .one_of({"vtt", "srt", "text"});
  app.add_option("--fps", flags->fps, "Frames analyzed for each second of video").type_name("N");
  app.add_flag("--fast", flags->fast, "Only key frames: fast, and blind for what happens between them");
  app.add_flag("--retry", flags->retry, "Try again what failed before");
  app.add_flag("--wait", flags->wait, "Wait while another analyze is at work");
  add_stage_flags(app, flags->stages);
  add_model_flags(app, flags->models);
  add_cloud_flags(app, flags->cloud, "frames").excludes(output);
  app.footer(kVideoExamples);
  app.once_parsed([flags, &settings] {
    put_model_settings(flags->models, settings);
    put_cloud_settings(flags->cloud, settings);
    settings.push_back({"video.enabled", "true"});
    if (!flags->fps.empty()) settings.push_back({"video.fps", flags->fps});
    if (flags->fast) settings.push_back({"video.key_frames_only", "true"});
  });
  return [flags](Context& context) -> Result<int> {
    IE_CHECK(check_video_files(flags->files));
    const bool wants_subtitles = !flags->subtitles.empty();
    if (wants_subtitles && context.json)
      return fail(ErrorCode::kInvalidArgument,
                  "--subtitles is no JSON: image-engine show FILE --transcript --json has the words with their times");
    IE_TRY(const SubtitleOutput subtitles, subtitle_output(flags->subtitles, wants_subtitles ? flags->output : "",
                                                           wants_subtitles ? flags->files.size() : 1));
    IE_TRY(const Output output, wants_subtitles ? Output{} : output_of(*flags, context.json));
    pipeline::AnalyzeReport report;
    IE_TRY(const int code, run_analysis(context, flags->files,
                                        {.retry = flags->retry,
                                         .wait = flags->wait,
                                         .engine = flags->stages.engine,
                                         .only = flags->stages.only,
                                         .redo = flags->stages.redo,
                                         .upgrade_embedding = !flags->stages.upgrade.empty(),
                                         .cloud = flags->cloud.mode,
                                         .report = &report}));
    if (code == kInterrupted || code == kUsage || flags->cloud.mode.dry_run) return code;
    IE_TRY(const int written, wants_subtitles ? write_all_subtitles(context, *flags, subtitles)
                                              : write_documents(context, *flags, output, report));
    if (!context.quiet)
      for (const std::string& note : report.notes) std::fprintf(stderr, "image-engine: %s\n", printable(note).c_str());
    return written == kDone && report.cloud && report.cloud->stopped ? kDoneWithFailures : written;
  };
}

}  // namespace image_engine::cli
