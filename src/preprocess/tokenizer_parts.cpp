#include "preprocess/tokenizer_parts.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>

#include "core/file.h"

namespace image_engine::preprocess {
namespace {

Result<std::string> gunzip(std::string_view packed) {
  constexpr int kGzip = 16 + MAX_WBITS;
  z_stream stream{};
  if (::inflateInit2(&stream, kGzip) != Z_OK) return fail(ErrorCode::kOutOfMemory, "cannot unpack gzip");
  const std::unique_ptr<z_stream, decltype(&::inflateEnd)> owner(&stream, &::inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  std::string text;
  char part[65536];
  for (int state = Z_OK; state != Z_STREAM_END;) {
    stream.next_out = reinterpret_cast<Bytef*>(part);
    stream.avail_out = sizeof part;
    state = ::inflate(&stream, Z_NO_FLUSH);
    if (state != Z_OK && state != Z_STREAM_END) return fail(ErrorCode::kCorrupt, "is damaged or truncated gzip");
    text.append(part, sizeof part - stream.avail_out);
    if (text.size() > kLargestVocabulary) return fail(ErrorCode::kTooLarge, "unpacks to more than 64 MiB");
  }
  return text;
}

}  // namespace

Result<std::string> read_vocabulary(const std::string& path) {
  auto bytes = read_file(path, kLargestVocabulary);
  if (bytes && bytes->starts_with("\x1f\x8b")) return gunzip(*bytes);
  if (!bytes && bytes.error().code == ErrorCode::kTooLarge) return fail(ErrorCode::kTooLarge, "is larger than 64 MiB");
  return bytes;
}

std::vector<std::string_view> lines_of(std::string_view text, std::size_t most) {
  std::vector<std::string_view> lines;
  while (!text.empty() && lines.size() < most) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
  }
  return lines;
}

std::optional<std::uint32_t> find(const Vocabulary& vocabulary, std::string_view token) {
  const auto found = vocabulary.find(token);
  if (found == vocabulary.end()) return std::nullopt;
  return found->second;
}

Merges::Merges(std::vector<Merge> merges) : merges_(std::move(merges)) {
  const auto pair = [](const Merge& merge) { return std::pair(merge.left, merge.right); };
  std::ranges::stable_sort(merges_, {}, pair);
  std::ranges::reverse(merges_);  // the last of equals comes first and stays
  const auto repeated = std::ranges::unique(merges_, {}, pair);
  merges_.erase(repeated.begin(), repeated.end());
  std::ranges::reverse(merges_);
}

const Merges::Merge* Merges::find(std::uint32_t left, std::uint32_t right) const {
  const auto pair = [](const Merge& merge) { return std::pair(merge.left, merge.right); };
  const auto found = std::ranges::lower_bound(merges_, std::pair(left, right), {}, pair);
  return found != merges_.end() && pair(*found) == std::pair(left, right) ? &*found : nullptr;
}

void Merges::apply(std::vector<std::uint32_t>& symbols) const {
  constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  struct Symbol {
    std::uint32_t id = 0;
    std::size_t before = kNone, behind = kNone;
    bool gone = false;
  };
  struct Candidate {
    std::uint32_t rank = 0;
    std::size_t at = 0;
    std::uint32_t merged = 0;
    bool operator>(const Candidate& other) const { return std::tie(rank, at) > std::tie(other.rank, other.at); }
  };
  std::vector<Symbol> chain(symbols.size());
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](std::size_t at) {
    if (at == kNone || chain[at].behind == kNone) return;
    const Merge* merge = find(chain[at].id, chain[chain[at].behind].id);
    if (merge != nullptr) queue.push({merge->rank, at, merge->merged});
  };

  for (std::size_t i = 0; i < symbols.size(); ++i)
    chain[i] = {symbols[i], i == 0 ? kNone : i - 1, i + 1 == symbols.size() ? kNone : i + 1};
  for (std::size_t i = 0; i < chain.size(); ++i) offer(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = chain[best.at];
    if (left.gone || left.behind == kNone) continue;
    Symbol& right = chain[left.behind];
    const Merge* merge = find(left.id, right.id);
    if (merge == nullptr || merge->merged != best.merged) continue;  // a neighbour has changed since
    left.id = best.merged;
    left.behind = right.behind;
    right.gone = true;
    if (left.behind != kNone) chain[left.behind].before = best.at;
    offer(left.before);
    offer(best.at);
  }
  symbols.clear();
  for (const Symbol& symbol : chain)
    if (!symbol.gone) symbols.push_back(symbol.id);
}

Result<WholeTokens> WholeTokens::create(std::vector<std::pair<std::string, std::uint32_t>> tokens) {
  for (const auto& [token, id] : tokens)
    if (token.empty() || token.size() > kLongest)
      return fail(ErrorCode::kCorrupt, "has an added token of " + std::to_string(token.size()) + " bytes");
  std::ranges::stable_sort(tokens, {}, &std::pair<std::string, std::uint32_t>::first);
  WholeTokens whole;
  whole.tokens_ = std::move(tokens);
  return whole;
}

// Narrows the sorted tokens to those that match the text, byte by byte.
const std::pair<std::string, std::uint32_t>* WholeTokens::longest_at(std::string_view text) const {
  const std::pair<std::string, std::uint32_t>* longest = nullptr;
  auto low = tokens_.begin(), high = tokens_.end();
  for (std::size_t i = 0; i < text.size() && low != high; ++i) {
    const auto byte = [i](const auto& token) {
      return i < token.first.size() ? int{static_cast<unsigned char>(token.first[i])} : -1;
    };
    const auto agreeing = std::ranges::equal_range(low, high, int{static_cast<unsigned char>(text[i])}, {}, byte);
    low = agreeing.begin(), high = agreeing.end();
    if (low != high && low->first.size() == i + 1) longest = &*low;
  }
  return longest;
}

std::vector<WholeTokens::Piece> WholeTokens::split(std::string_view text) const {
  std::vector<Piece> pieces;
  std::size_t plain = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto* token = longest_at(text.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    if (plain < at) pieces.push_back({text.substr(plain, at - plain), {}});
    pieces.push_back({text.substr(at, token->first.size()), token->second});
    plain = at += token->first.size();
  }
  if (plain < text.size()) pieces.push_back({text.substr(plain), {}});
  return pieces;
}

}  // namespace image_engine::preprocess
