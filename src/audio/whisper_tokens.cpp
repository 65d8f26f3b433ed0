#include "audio/whisper_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "core/text.h"

namespace image_engine::audio {
namespace {

constexpr TokenId kMostTokenIds = 200'000;

Result<TokenId> number(std::string_view text, const std::string& key) {
  TokenId value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 0 && value < kMostTokenIds) return value;
  return fail(ErrorCode::kCorrupt, fmt::format("the encoder's metadata has no valid {}", key));
}

Result<std::string> metadata_of(const infer::Session& encoder, const std::string& key) {
  if (std::optional<std::string> value = encoder.metadata(key)) return *std::move(value);
  return fail(ErrorCode::kCorrupt, fmt::format("the encoder's metadata lacks {}: it is not a Whisper model as "
                                               "sherpa-onnx has them",
                                               key));
}

Result<TokenId> token_of(const infer::Session& encoder, const std::string& key) {
  IE_TRY(const std::string value, metadata_of(encoder, key));
  return number(value, key);
}

std::vector<std::string_view> parts_of(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    parts.push_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

Status read_languages(const infer::Session& encoder, WhisperTokens& tokens) {
  IE_TRY(const std::string ids, metadata_of(encoder, "all_language_tokens"));
  IE_TRY(const std::string codes, metadata_of(encoder, "all_language_codes"));
  const std::vector<std::string_view> id_parts = parts_of(ids), code_parts = parts_of(codes);
  if (id_parts.size() != code_parts.size() || id_parts.empty())
    return fail(ErrorCode::kCorrupt, "the encoder's metadata has not one token for each language");
  for (size_t i = 0; i < id_parts.size(); ++i) {
    IE_TRY(const TokenId id, number(id_parts[i], "all_language_tokens"));
    tokens.languages.emplace(code_parts[i], id);
  }
  return {};
}

// nullopt for other characters.
std::optional<std::string> from_base64(std::string_view text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    const auto value = [&]() -> int {
      if (c >= 'A' && c <= 'Z') return c - 'A';
      if (c >= 'a' && c <= 'z') return c - 'a' + 26;
      if (c >= '0' && c <= '9') return c - '0' + 52;
      return c == '+' ? 62 : c == '/' ? 63 : -1;
    }();
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xFF);
  }
  return bytes;
}

Status read_texts(std::string_view vocabulary, WhisperTokens& tokens) {
  while (!vocabulary.empty()) {
    const size_t end = std::min(vocabulary.find('\n'), vocabulary.size());
    std::string_view line = vocabulary.substr(0, end);
    vocabulary.remove_prefix(std::min(end + 1, vocabulary.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const size_t space = line.rfind(' ');
    const std::optional<std::string> bytes =
        space == std::string_view::npos ? std::nullopt : from_base64(line.substr(0, space));
    const Result<TokenId> id = bytes ? number(line.substr(space + 1), "tokens.txt") : fail(ErrorCode::kCorrupt, "");
    if (!id || *id >= static_cast<TokenId>(tokens.size()))
      return fail(ErrorCode::kCorrupt, "tokens.txt is damaged: a line is not base64 of a token and its id");
    // sherpa-onnx's files of multilingual models end with special tokens: those are no text.
    if (*id >= std::min(tokens.sot, tokens.eot)) continue;
    if (tokens.texts.size() <= static_cast<size_t>(*id)) tokens.texts.resize(static_cast<size_t>(*id) + 1);
    tokens.texts[static_cast<size_t>(*id)] = *bytes;
  }
  if (tokens.texts.size() < 1000) return fail(ErrorCode::kCorrupt, "tokens.txt has too few tokens");
  return {};
}

void suppress(WhisperTokens& tokens) {
  for (size_t id = 0; id < tokens.size(); ++id) {
    const bool is_text = id < tokens.texts.size() && !tokens.texts[id].empty();
    tokens.suppressed[id] = is_text || static_cast<TokenId>(id) == tokens.eot ? 0 : 1;
  }
}

}  // namespace

Result<WhisperTokens> WhisperTokens::create(const infer::Session& encoder, std::string_view vocabulary) {
  WhisperTokens tokens;
  for (const auto& [member, key] :
       {std::pair(&WhisperTokens::sot, "sot"), std::pair(&WhisperTokens::eot, "eot"),
        std::pair(&WhisperTokens::translate, "translate"), std::pair(&WhisperTokens::transcribe, "transcribe"),
        std::pair(&WhisperTokens::no_timestamps, "no_timestamps"), std::pair(&WhisperTokens::no_speech, "no_speech"),
        std::pair(&WhisperTokens::blank, "blank_id")}) {
    IE_TRY(tokens.*member, token_of(encoder, key));
  }
  IE_TRY(const TokenId vocabulary_size, token_of(encoder, "n_vocab"));
  IE_TRY(const TokenId multilingual, token_of(encoder, "is_multilingual"));
  tokens.suppressed.resize(static_cast<size_t>(vocabulary_size));
  tokens.is_multilingual = multilingual != 0;
  if (tokens.is_multilingual) IE_CHECK(read_languages(encoder, tokens));
  std::vector<TokenId> special = {tokens.sot,        tokens.eot,           tokens.translate,
                                  tokens.transcribe, tokens.no_timestamps, tokens.no_speech};
  for (const auto& [code, id] : tokens.languages) special.push_back(id);
  if (std::ranges::max(special) >= vocabulary_size)
    return fail(ErrorCode::kCorrupt, "the encoder's metadata has a token beyond n_vocab");
  IE_CHECK(read_texts(vocabulary, tokens));
  suppress(tokens);
  return tokens;
}

std::string_view WhisperTokens::text(TokenId id) const {
  return id >= 0 && static_cast<size_t>(id) < texts.size() ? std::string_view(texts[static_cast<size_t>(id)])
                                                           : std::string_view();
}

bool has_spaces(std::string_view language) {
  // As in OpenAI's whisper/tokenizer.py, split_to_word_tokens().
  constexpr std::array<std::string_view, 7> kWithout = {"zh", "ja", "th", "lo", "my", "yue", "km"};
  return std::ranges::find(kWithout, language) == kWithout.end();
}

}  // namespace image_engine::audio
