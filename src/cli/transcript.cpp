#include "cli/transcript.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/write_target.h"
#include "core/file.h"
#include "core/json.h"
#include "core/text.h"
#include "pipeline/speech.h"
#include "store/asset_json.h"

namespace image_engine::cli {
namespace {

Result<std::vector<SpeechSegment>> speech_in(const store::CatalogueReader& reader, const store::AssetRecord& record,
                                             const std::string& path) {
  if (record.kind == MediaKind::kPhoto)
    return fail(ErrorCode::kInvalidArgument, printable(path) + " is a photo: nothing is said in it");
  IE_TRY(std::vector<SpeechSegment> speech, pipeline::speech_of(reader, record.id));
  const auto failure = std::ranges::find(record.failures, store::kSpeechStage,
                                         [](const store::Failure& one) { return std::string_view(one.key.stage); });
  if (speech.empty() && failure != record.failures.end())
    return fail(failure->error.code, printable(path) + ": " + failure->error.message);
  IE_TRY(const std::optional<store::AnalysisProgress> progress, reader.progress(record.id, store::kSpeechStage));
  if (!speech.empty() && (progress || failure != record.failures.end()))
    std::fprintf(stderr, "image-engine: %s: not all that is said is here: %s\n", printable(path).c_str(),
                 failure != record.failures.end() ? printable(failure->error.message).c_str()
                                                  : "its analysis was interrupted, and goes on with the next analyze");
  if (!speech.empty()) return speech;
  // Without a source there were neither subtitles nor a model to hear it with.
  const bool is_analyzed = std::ranges::any_of(record.records, [](const store::Record& found) {
    const nlohmann::json data = parse_json(found.data);
    return found.key.stage == store::kSpeechStage &&
           !(data.is_object() && data.value("source", nlohmann::json(true)).is_null());
  });
  if (is_analyzed) return fail(ErrorCode::kNotFound, "nothing is said in " + printable(path));
  return fail(ErrorCode::kNotFound,
              fmt::format("what is said in {0} was not analyzed yet: run image-engine models pull whisper-base "
                          "silero-vad, then image-engine analyze-video '{0}'",
                          printable(path)));
}

nlohmann::json word_json(const SpokenWord& word) {
  return {{"text", word.text},
          {"from", thousandths(word.from)},
          {"to", thousandths(word.to)},
          {"confidence", thousandths(word.confidence)}};
}

nlohmann::json segment_json(const SpeechSegment& segment) {
  nlohmann::json words = nlohmann::json::array();
  for (const SpokenWord& word : segment.words) words.push_back(word_json(word));
  return {{"from", thousandths(segment.from)},
          {"to", thousandths(segment.to)},
          {"language", segment.language},
          {"confidence", thousandths(segment.confidence)},
          {"text", segment.text()},
          {"words", std::move(words)}};
}

// Where what is said comes from; as for add_speech() in the pipeline.
void put_source(nlohmann::json& json, const store::AssetRecord& asset) {
  json.update({{"source", pipeline::kHeardByModel}, {"model", nullptr}, {"language", nullptr}});
  // The newest is last. While a model is still listening, there is none.
  const auto record = std::find_if(asset.records.rbegin(), asset.records.rend(),
                                   [](const store::Record& one) { return one.key.stage == store::kSpeechStage; });
  if (record == asset.records.rend()) return;
  const nlohmann::json data = parse_json(record->data);
  for (const char* key : {"source", "language"})
    if (data.is_object() && data.contains(key)) json[key] = data[key];
  if (json["source"] == pipeline::kHeardByModel) json["model"] = record->key.model;
}

// holiday.mp4 → holiday.vtt; a second holiday.mov → holiday-2.vtt.
std::string name_of_subtitles(const SubtitleOutput& output, const std::string& video,
                              const std::vector<std::string>& made) {
  const std::string stem = std::filesystem::path(video).stem().string();
  const std::string_view extension = audio::transcript_extension(output.format);
  std::string name = join_path(output.path, stem + std::string(extension));
  for (int i = 2; std::ranges::find(made, name) != made.end(); ++i)
    name = join_path(output.path, fmt::format("{}-{}{}", stem, i, extension));
  return name;
}

}  // namespace

Result<int> print_transcript(const Context& context, const store::CatalogueReader& reader,
                             const store::AssetRecord& record, const std::string& path, audio::TranscriptFormat format,
                             bool as_json) {
  IE_TRY(const std::vector<SpeechSegment> speech, speech_in(reader, record, path));
  if (as_json || context.json) {
    nlohmann::json json = {{"segments", nlohmann::json::array()}};
    for (const SpeechSegment& segment : speech) json["segments"].push_back(segment_json(segment));
    put_source(json, record);
    store::put_path(json, path);
    print_json("transcript", json);
  } else {
    print_text(audio::write_transcript(speech, format));
  }
  return kDone;
}

Result<SubtitleOutput> subtitle_output(const std::string& format, const std::string& output, std::size_t files) {
  using Kind = SubtitleOutput::Kind;
  SubtitleOutput result{audio::transcript_format(format).value_or(audio::TranscriptFormat::kWebVtt)};
  std::error_code ignored;
  const bool is_folder = output.ends_with('/') || std::filesystem::is_directory(output, ignored);
  if (!is_folder && files > 1)
    return fail(ErrorCode::kInvalidArgument, "subtitles of several files go to a folder: -o NAME/");
  if (output.empty() || output == "-") return result;
  result.kind = is_folder ? Kind::kFolder : Kind::kFile;
  result.path = absolute_path(output);
  if (!is_folder) IE_CHECK(check_absent(result.path));
  return result;
}

Status write_subtitles(const store::CatalogueReader& reader, const store::AssetRecord& record, const std::string& path,
                       const SubtitleOutput& output, std::vector<std::string>& made) {
  using Kind = SubtitleOutput::Kind;
  IE_TRY(const std::vector<SpeechSegment> speech, speech_in(reader, record, path));
  const std::string text = audio::write_transcript(speech, output.format);
  if (output.kind == Kind::kStdout) {
    print_text(text);
    return {};
  }
  if (output.kind == Kind::kFolder) IE_CHECK(make_folders(output.path, 0777));
  const std::string target = output.kind == Kind::kFolder ? name_of_subtitles(output, path, made) : output.path;
  IE_CHECK(check_new(reader, target));
  IE_CHECK(write_file_atomically(target, text));
  made.push_back(target);
  return {};
}

}  // namespace image_engine::cli
