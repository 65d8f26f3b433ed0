#include "preprocess/tokenizer.h"

#include <algorithm>

#include "core/text.h"
#include "preprocess/tokenizer_parts.h"

namespace image_engine::preprocess {
namespace {

// Limits the cost of hostile text; no model here reads a hundredth of it.
constexpr std::size_t kLongestText = std::size_t{64} << 10;

struct Kind {
  std::string_view name;
  Result<std::unique_ptr<Tokenizer>> (*create)(std::string_view text);
};
constexpr Kind kKinds[] = {
    {"clip-bpe", create_clip_bpe},
    {"wordpiece", create_wordpiece},
    {"tokenizer-json", create_tokenizer_json},
    {"siglip2-json", create_siglip2_json},
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::create(std::string_view kind, const std::string& vocabulary) {
  const auto* const known = std::ranges::find(kKinds, kind, &Kind::name);
  if (known == std::end(kKinds))
    return fail(ErrorCode::kInvalidArgument, "there is no tokenizer '" + printable(kind) + "'");
  auto tokenizer = [&]() -> Result<std::unique_ptr<Tokenizer>> {
    IE_TRY(const std::string text, read_vocabulary(vocabulary));
    return known->create(text);
  }();
  if (!tokenizer) return fail(tokenizer.error().code, printable(vocabulary) + ": " + tokenizer.error().message);
  return tokenizer;
}

std::vector<std::int64_t> FramedTokenizer::encode(std::string_view text, std::size_t most) const {
  const std::string sound = to_utf8(utf8_beginning(text, kLongestText));
  const std::size_t body_end = most - std::min<std::size_t>(most, frame_.end ? 1 : 0);
  std::vector<std::int64_t> ids;
  if (frame_.begin) ids.push_back(*frame_.begin);
  for (const auto& piece : frame_.whole.split(sound)) {
    if (ids.size() >= body_end) break;
    if (piece.token)
      ids.push_back(*piece.token);
    else
      append(piece.text, body_end, ids);
  }
  if (ids.size() > body_end) ids.resize(body_end);
  if (frame_.end) ids.push_back(*frame_.end);
  return ids;
}

}  // namespace image_engine::preprocess
