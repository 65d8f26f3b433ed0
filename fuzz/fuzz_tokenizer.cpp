// A vocabulary of any kind, and a text cut by it; and any text cut by a sound vocabulary: ids are of the vocabulary, no
// more than asked for.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "preprocess/tokenizer_parts.h"

using namespace image_engine;
using preprocess::Tokenizer;

namespace {

constexpr std::string_view kWords = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\nb\n##b\nab\n##ab\n,\n";
constexpr std::string_view kMerges = "#version: 0.2\na b\nab ab\nb a</w>\n! !\nab a</w>\n";
constexpr std::string_view kJson = R"({"added_tokens": [{"id": 4, "content": "<b>"}, {"id": 5, "content": "<bb>"}],
  "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
  "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<bos>"}}, {"Sequence": {"id": "A"}}],
                     "special_tokens": {"<bos>": {"ids": [2]}}},
  "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "merges": [["a", "b"], ["▁", "ab"]],
            "vocab": {"<pad>": 0, "<eos>": 1, "<bos>": 2, "<unk>": 3, "a": 6, "b": 7, "ab": 8, "▁ab": 9, "▁": 10, "<0x41>": 11}}})";

struct Kind {
  Result<std::unique_ptr<Tokenizer>> (*create)(std::string_view text);
  std::string_view sound;
};
constexpr Kind kKinds[] = {{preprocess::create_clip_bpe, kMerges},
                           {preprocess::create_wordpiece, kWords},
                           {preprocess::create_tokenizer_json, kJson},
                           {preprocess::create_siglip2_json, kJson}};

void cut(const Tokenizer& tokenizer, std::string_view text) {
  for (const std::size_t most : {2, 77, 1'000'000}) {
    const auto ids = tokenizer.encode(text, most);
    if (ids.size() > most) std::abort();
    for (const std::int64_t id : ids)
      if (id < 0 || static_cast<std::size_t>(id) >= tokenizer.size()) std::abort();
  }
  const auto whole = tokenizer.encode(text, 1'000'000), some = tokenizer.encode(text, 7);
  const std::size_t same = whole.size() > 7 ? 6 : whole.size();  // the seventh is the mark of the end
  if (some.size() < same || !std::equal(some.begin(), some.begin() + static_cast<std::ptrdiff_t>(same), whole.begin()))
    std::abort();
}

}  // namespace

// The kind, the text up to the first zero byte, the vocabulary.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const Kind& kind = kKinds[data[0] % std::size(kKinds)];
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view text = rest.substr(0, rest.find('\0'));
  static const auto sound = [] {
    std::vector<std::unique_ptr<Tokenizer>> made;
    for (const Kind& each : kKinds) made.push_back(std::move(each.create(each.sound).value()));
    return made;
  }();
  cut(*sound[data[0] % std::size(kKinds)], rest);
  if (text.size() == rest.size()) return 0;
  if (const auto tokenizer = kind.create(rest.substr(text.size() + 1))) cut(**tokenizer, text);
  return 0;
}
