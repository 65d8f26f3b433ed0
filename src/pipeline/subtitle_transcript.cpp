#include "pipeline/subtitle_transcript.h"

#include <fmt/format.h>

#include <utility>

#include "audio/subtitle_speech.h"
#include "core/file.h"
#include "core/text.h"
#include "worker/decode_file.h"

namespace image_engine::pipeline {
namespace {

bool is_about_the_file(const Error& error) {
  return !is_of_the_run(error.code) && error.code != ErrorCode::kKilled && error.code != ErrorCode::kInterrupted;
}

class SubtitleSearch {
 public:
  SubtitleSearch(worker::Pool& pool, const std::string& media_path, const std::string& language, SubtitleNotes& notes)
      : pool_(pool), media_path_(media_path), language_(language), notes_(notes) {}

  Result<std::optional<Transcript>> from_sidecar(const scan::SubtitleSidecar& sidecar) {
    const std::string name = to_utf8(file_name(sidecar.path));
    Result<UniqueFd> file = open_regular(sidecar.path);
    notes_.is_sidecar_closed = !file;
    if (!file && is_about_the_file(file.error())) return left_out(name, file.error());
    if (!file) return fail(file.error());
    IE_TRY(std::optional<worker::Subtitles> found, read(std::move(*file), name, notes_.is_sidecar_closed));
    if (!found) return std::nullopt;
    if (found->stream >= 0) return left_out(name, {ErrorCode::kUnsupported, "this is a video"});
    return transcript(*found, sidecar.language, "subtitles: " + name);
  }

  Result<std::optional<Transcript>> from_stream() {
    IE_TRY(UniqueFd file, open_regular(media_path_));
    bool is_closed = false;
    IE_TRY(std::optional<worker::Subtitles> found, read(std::move(file), "its subtitles", is_closed));
    if (found && found->text_streams == 0 && found->other_streams > 0)
      notes_.warnings.emplace_back("its subtitles are pictures or in a codec that is not read");
    if (!found || found->stream < 0) return std::nullopt;
    std::string source = fmt::format("subtitles: stream {}, {}", found->stream, to_utf8(found->codec));
    if (!found->language.empty()) source += ", " + to_utf8(found->language);
    return transcript(*found, to_utf8(found->language), std::move(source));
  }

 private:
  std::nullopt_t left_out(const std::string& what, const Error& error) {
    notes_.warnings.push_back(fmt::format("{} cannot be read: {}", what, error.message));
    return std::nullopt;
  }

  // `is_closed`: whether the disk did not give the bytes.
  Result<std::optional<worker::Subtitles>> read(UniqueFd file, const std::string& what, bool& is_closed) {
    worker::Task task{.operations = worker::kSubtitles};
    language_.copy(task.subtitles.language, sizeof task.subtitles.language - 1);
    Result<worker::Reply> reply = worker::LeasedFile(pool_, std::move(file)).run(task);
    Result<worker::Subtitles> found = reply ? std::move(reply->subtitles) : fail(reply.error());
    is_closed = !found && found.error().code == ErrorCode::kIo;
    if (!found && is_about_the_file(found.error())) return left_out(what, found.error());
    if (!found) return fail(found.error());
    for (const std::string& warning : found->warnings) notes_.warnings.push_back(what + ": " + to_utf8(warning));
    return std::move(*found);
  }

  std::optional<Transcript> transcript(const worker::Subtitles& found, const std::string& language,
                                       std::string source) {
    std::vector<SpeechSegment> speech = audio::speech_of_cues(found.cues, language);
    if (speech.empty()) return std::nullopt;
    return Transcript{std::move(speech), language, std::move(source)};
  }

  worker::Pool& pool_;
  const std::string& media_path_;
  const std::string& language_;
  SubtitleNotes& notes_;
};

}  // namespace

Result<std::optional<Transcript>> read_subtitles(worker::Pool& pool, const std::string& media_path,
                                                 const std::optional<scan::SubtitleSidecar>& sidecar, bool has_streams,
                                                 const std::string& language, SubtitleNotes& notes) {
  SubtitleSearch search(pool, media_path, language, notes);
  const bool is_in_another =
      sidecar && !language.empty() && !sidecar->language.empty() && sidecar->language != language;
  std::optional<Transcript> stream;
  if (sidecar && !is_in_another) {
    IE_TRY(std::optional<Transcript> found, search.from_sidecar(*sidecar));
    if (found) return found;
  }
  if (has_streams) {
    IE_TRY(stream, search.from_stream());
    if (stream && (!is_in_another || stream->language == language)) return stream;
  }
  if (is_in_another) {
    IE_TRY(std::optional<Transcript> found, search.from_sidecar(*sidecar));
    if (found) return found;
  }
  return stream;
}

}  // namespace image_engine::pipeline
