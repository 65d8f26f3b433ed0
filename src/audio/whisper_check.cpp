#include "audio/whisper_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "audio/onnx_outline.h"
#include "core/file.h"
#include "core/text.h"

namespace image_engine::audio {
namespace {

constexpr size_t kLargestTokens = size_t{64} << 20;
constexpr std::int64_t kMostCacheNumbers = std::int64_t{1} << 28;  // 1 GiB of fp32
constexpr std::string_view kRemedy =
    "docs/models.md says how a Whisper for sherpa-onnx is made, or `image-engine models pull whisper-base`";

struct Range {
  std::string_view key;
  std::int32_t least, most;
};
// What sherpa-onnx reads of the encoder as numbers.
constexpr Range kNumbers[] = {{"n_mels", 1, 1024},          {"n_text_layer", 1, 256},  {"n_text_ctx", 8, 1 << 20},
                              {"n_text_state", 1, 1 << 20}, {"n_vocab", 1, 1 << 24},   {"sot", 0, 1 << 24},
                              {"eot", 0, 1 << 24},          {"blank_id", 0, 1 << 24},  {"translate", 0, 1 << 24},
                              {"transcribe", 0, 1 << 24},   {"is_multilingual", 0, 1}, {"no_timestamps", 0, 1 << 24},
                              {"no_speech", 0, 1 << 24}};
constexpr std::string_view kWords[] = {"sot",        "eot",       "blank_id",     "translate",
                                       "transcribe", "no_speech", "no_timestamps"};

tl::unexpected<Error> unfit(const std::string& path, std::string_view what) {
  return fail(ErrorCode::kUnsupported, fmt::format("{} {}; {}", printable(path), what, kRemedy));
}

Result<OnnxOutline> outline_of(const std::string& path) {
  const Result<UniqueFd> fd = open_regular(path);
  if (!fd) return fail(fd.error().code, fmt::format("{}: {}", printable(path), fd.error().message));
  Result<MappedFile> mapped = MappedFile::create(fd->get(), MappedFile::Guard::kZeros);
  if (!mapped) return fail(mapped.error().code, fmt::format("{}: {}", printable(path), mapped.error().message));
  Result<OnnxOutline> outline = onnx_outline(mapped->bytes());
  if (!outline) return fail(outline.error().code, fmt::format("{}: {}", printable(path), outline.error().message));
  if (mapped->is_lost()) return fail(ErrorCode::kIo, fmt::format("{} changed while it was read", printable(path)));
  return outline;
}

std::optional<std::int32_t> whole_number(std::string_view text) {
  std::int32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::vector<std::string_view> split_at_commas(std::string_view text) {
  std::vector<std::string_view> items;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    items.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return items;
}

// The metadata of an encoder, each as it should be.
class EncoderMetadata {
 public:
  EncoderMetadata(const std::string& path, const OnnxOutline& outline) : path_(path), outline_(outline) {}

  Result<std::string_view> text(std::string_view key) const {
    const auto found = outline_.metadata.find(std::string(key));
    if (found == outline_.metadata.end() || found->second.empty())
      return unfit(path_, fmt::format("lacks {} in its metadata, which sherpa-onnx needs", key));
    return std::string_view(found->second);
  }

  Result<std::int32_t> number(std::string_view key) const {
    const auto* const range = std::ranges::find(kNumbers, key, &Range::key);
    IE_TRY(const std::string_view written, text(key));
    const std::optional<std::int32_t> value = whole_number(written);
    if (!value || *value < range->least || *value > range->most)
      return unfit(path_, fmt::format("has \"{}\" as {} in its metadata, not {}…{}", printable(written.substr(0, 40)),
                                      key, range->least, range->most));
    return *value;
  }

  // Numbers of words, all of the vocabulary.
  Status check_words(std::string_view key, size_t least, std::int32_t vocabulary) const {
    IE_TRY(const std::string_view written, text(key));
    const std::vector<std::string_view> items = split_at_commas(written);
    const auto is_word = [&](std::string_view item) {
      const std::optional<std::int32_t> value = whole_number(item);
      return value && *value >= 0 && *value < vocabulary;
    };
    if (items.size() >= least && std::ranges::all_of(items, is_word)) return {};
    return unfit(path_, fmt::format("has a {} in its metadata that is no list of words' numbers", key));
  }

 private:
  const std::string& path_;
  const OnnxOutline& outline_;
};

// Of an encoder with these numbers.
Result<WhisperFacts> facts_of(const std::string& path, const OnnxOutline& outline) {
  const EncoderMetadata metadata(path, outline);
  for (const Range& range : kNumbers) IE_CHECK(metadata.number(range.key));
  WhisperFacts facts;
  IE_TRY(facts.words, metadata.number("n_vocab"));
  IE_TRY(facts.mels, metadata.number("n_mels"));
  IE_TRY(const std::int32_t layers, metadata.number("n_text_layer"));
  IE_TRY(const std::int32_t context, metadata.number("n_text_ctx"));
  IE_TRY(const std::int32_t width, metadata.number("n_text_state"));
  if (std::int64_t{context} * width > kMostCacheNumbers / layers)
    return unfit(path, "has layers of an absurd size in its metadata");
  for (const std::string_view key : kWords) {
    IE_TRY(const std::int32_t word, metadata.number(key));
    if (word >= facts.words) return unfit(path, fmt::format("has a {} beyond its vocabulary", key));
  }
  IE_TRY(const std::int32_t many, metadata.number("is_multilingual"));
  facts.is_multilingual = many == 1;
  // Where there are several languages, sherpa-onnx writes language and task into the second and third.
  IE_CHECK(metadata.check_words("sot_sequence", facts.is_multilingual ? 3 : 1, facts.words));
  if (!facts.is_multilingual) {
    facts.languages = {"en"};
    return facts;
  }
  IE_CHECK(metadata.check_words("all_language_tokens", 1, facts.words));
  IE_TRY(const std::string_view numbers, metadata.text("all_language_tokens"));
  IE_TRY(const std::string_view codes, metadata.text("all_language_codes"));
  for (const std::string_view code : split_at_commas(codes)) facts.languages.emplace_back(code);
  if (facts.languages.size() != split_at_commas(numbers).size())
    return unfit(path, "has all_language_tokens and all_language_codes of different lengths in its metadata");
  return facts;
}

// Lines of a word without spaces and its number.
Status check_tokens(const std::string& path, std::int32_t vocabulary) {
  const Result<std::string> text = read_file(path, kLargestTokens);
  if (!text) return fail(text.error().code, fmt::format("{}: {}", printable(path), text.error().message));
  std::string_view rest = *text;
  size_t line = 0;
  std::vector<bool> seen(static_cast<size_t>(vocabulary));
  while (!rest.empty()) {
    std::string_view row = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), row.size() + 1));
    ++line;
    if (row.ends_with('\r')) row.remove_suffix(1);
    const size_t space = row.find(' ');
    const std::optional<std::int32_t> number =
        space == std::string_view::npos || space == 0 ? std::nullopt : whole_number(row.substr(space + 1));
    if (!number || *number < 0 || *number >= vocabulary || seen[static_cast<size_t>(*number)])
      return unfit(path, fmt::format("has no word and a number of its own below {} in line {}", vocabulary, line));
    seen[static_cast<size_t>(*number)] = true;
  }
  return line > 0 ? Status{} : unfit(path, "is empty");
}

}  // namespace

Result<WhisperFacts> check_whisper(const std::string& encoder, const std::string& decoder, const std::string& tokens) {
  IE_TRY(const OnnxOutline of_encoder, outline_of(encoder));
  IE_TRY(WhisperFacts facts, facts_of(encoder, of_encoder));
  if (of_encoder.inputs < 1 || of_encoder.outputs != 2)
    return unfit(encoder, fmt::format("has {} outputs; a Whisper's encoder has 2", of_encoder.outputs));
  IE_TRY(const OnnxOutline of_decoder, outline_of(decoder));
  if (of_decoder.inputs < 6 || (of_decoder.outputs != 3 && of_decoder.outputs != 4))
    return unfit(decoder, fmt::format("has {} inputs and {} outputs; a Whisper's decoder has 6 and 3, or 4 with times",
                                      of_decoder.inputs, of_decoder.outputs));
  facts.has_word_times = of_decoder.outputs == 4;
  IE_CHECK(check_tokens(tokens, facts.words));
  return facts;
}

}  // namespace image_engine::audio
