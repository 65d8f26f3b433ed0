// What is said in a video or a recording, for `show --transcript` and `analyze-video --subtitles`.
#pragma once

#include <string>
#include <vector>

#include "audio/subtitle_text.h"
#include "cli/app.h"
#include "core/result.h"
#include "store/catalogue.h"

namespace image_engine::cli {

// Prints it to stdout; as a JSON document with its words where `as_json`. kNotFound: the speech was not analyzed yet
// (the message has the command that does), or nothing is said. kInvalidArgument: a photo.
Result<int> print_transcript(const Context& context, const store::CatalogueReader& reader,
                             const store::AssetRecord& record, const std::string& path, audio::TranscriptFormat format,
                             bool as_json);

// Where subtitles of several files go.
struct SubtitleOutput {
  audio::TranscriptFormat format = audio::TranscriptFormat::kWebVtt;
  enum class Kind { kStdout, kFile, kFolder } kind = Kind::kStdout;
  std::string path;
};

// `format`: "vtt", "srt" or "text"; `output`: a file, a folder, "-" or empty for stdout. kInvalidArgument: a file that
// exists; several `files` without a folder.
Result<SubtitleOutput> subtitle_output(const std::string& format, const std::string& output, std::size_t files);

// Writes what is said in one of them. A file that exists is never replaced. `made`: files that were written before, to
// which the new one is added. Errors as of print_transcript().
Status write_subtitles(const store::CatalogueReader& reader, const store::AssetRecord& record, const std::string& path,
                       const SubtitleOutput& output, std::vector<std::string>& made);

}  // namespace image_engine::cli
