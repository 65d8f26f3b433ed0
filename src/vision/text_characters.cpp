#include "vision/text_characters.h"

#include <algorithm>
#include <optional>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::vision {
namespace {

constexpr std::size_t kLargestDictionary = std::size_t{1} << 20;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
  }
  return lines;
}

Result<std::string> text_of(const models::Spec& spec, const infer::Session& session) {
  const auto option = spec.head_options.find("characters");
  if (option == spec.head_options.end()) {
    std::optional<std::string> text = session.metadata("character");
    if (text) return std::move(*text);
    return fail(ErrorCode::kCorrupt,
                "its graph's metadata has no characters, and its spec names no file of characters");
  }
  const std::string& name = option->second;
  auto text = read_file(name.starts_with('/') ? name : join_path(parent_path(spec.file), name), kLargestDictionary);
  if (!text)
    return fail(ErrorCode::kInvalidArgument,
                "its file of characters " + printable(name) + " cannot be read: " + text.error().message);
  return text;
}

}  // namespace

Result<std::vector<std::string>> read_characters(const models::Spec& spec, const infer::Session& session) {
  IE_TRY(const std::string text, text_of(spec, session));
  if (text.empty() || !is_utf8(text)) return fail(ErrorCode::kCorrupt, "its characters are missing or not UTF-8");
  std::vector<std::string> characters = lines_of(text);
  characters.insert(characters.begin(), std::string());
  characters.emplace_back(" ");
  return characters;
}

Decoded decode_ctc(std::span<const float> steps, std::span<const std::string> characters) {
  Decoded decoded;
  double sum = 0;
  std::size_t count = 0, before = 0;
  for (std::size_t at = 0; at + characters.size() <= steps.size(); at += characters.size()) {
    const auto row = steps.subspan(at, characters.size());
    const auto best = std::ranges::max_element(row);
    const auto index = static_cast<std::size_t>(best - row.begin());
    if (index != 0 && index != before) {
      const double step = static_cast<double>(at) / static_cast<double>(characters.size()) + 0.5;
      decoded.glyphs.push_back(
          {decoded.text.size(), step * static_cast<double>(characters.size()) / static_cast<double>(steps.size())});
      decoded.text += characters[index];
      sum += double{*best};
      ++count;
    }
    before = index;
  }
  if (count > 0) decoded.confidence = static_cast<float>(std::clamp(sum / static_cast<double>(count), 0.0, 1.0));
  return decoded;
}

}  // namespace image_engine::vision
