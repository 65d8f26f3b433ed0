#include "preprocess/tokenizer.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>

#include "preprocess/tokenizer_parts.h"
#include "tests/support/files.h"

namespace image_engine::preprocess {
namespace {

using nlohmann::json;
using Ids = std::vector<std::int64_t>;

constexpr std::size_t kUncut = 1'000'000;
const std::string kClipVocabulary = IE_SOURCE_DIR "/build/share/clip/bpe_simple_vocab_16e6.txt.gz";

// Made by tools/reference/tokenizer_ids.py.
const json& golden() {
  static const json read = json::parse(read_vocabulary(IE_SOURCE_DIR "/tests/golden/tokenizers.json.gz").value());
  return read;
}

// BERT's comes with the model `minilm`; tools/setup.sh does not fetch that.
std::optional<std::string> bert_vocabulary() {
  const char* models = std::getenv("IMAGE_ENGINE_MODELS");
  const char* named = std::getenv("IMAGE_ENGINE_BERT_VOCABULARY");
  for (const std::string& path :
       {std::string(named == nullptr ? "" : named), std::string(models == nullptr ? "" : models) + "/minilm/vocab.txt",
        std::string(IE_SOURCE_DIR "/build/models/minilm/vocab.txt")})
    if (std::filesystem::is_regular_file(path)) return path;
  return std::nullopt;
}

std::unique_ptr<Tokenizer> make(std::string_view kind, const std::string& file) {
  auto tokenizer = Tokenizer::create(kind, file);
  if (!tokenizer) throw std::runtime_error(tokenizer.error().message);
  return std::move(*tokenizer);
}

// A file of the test's own, in its working directory.
std::string written(const std::string& name, std::string_view content) {
  const std::string path = "tokenizer_test_" + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

std::unique_ptr<Tokenizer> from_text(std::string_view kind, std::string_view content) {
  return make(kind, written(std::string(kind), content));
}

Error error_of(std::string_view kind, std::string_view content) {
  const auto tokenizer = Tokenizer::create(kind, written("bad", content));
  if (tokenizer) return {ErrorCode::kInternal, "accepted"};
  EXPECT_NE(tokenizer.error().message.find("tokenizer_test_bad"), std::string::npos) << tokenizer.error().message;
  return tokenizer.error();
}

void expect_ids(const Tokenizer& tokenizer, const json& texts, const json& ids, std::size_t most = kUncut) {
  ASSERT_EQ(texts.size(), ids.size());
  int wrong = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const Ids found = tokenizer.encode(texts[i].get<std::string>(), most);
    if (found == ids[i].get<Ids>()) continue;
    ADD_FAILURE() << texts[i].dump().substr(0, 400) << "\nis      " << json(found).dump().substr(0, 600) << "\nmust be "
                  << ids[i].dump().substr(0, 600);
    if (++wrong == 20) FAIL() << "and more";
  }
}

TEST(ClipTokenizer, HasTheReferencesIds) {
  const auto tokenizer = make("clip-bpe", kClipVocabulary);
  EXPECT_GE(golden()["texts"].size(), 2000U);
  expect_ids(*tokenizer, golden()["texts"], golden()["clip"]);
  for (const json& cut : golden()["clip_cut"]) expect_ids(*tokenizer, golden()["cut_texts"], cut[1], cut[0]);
  EXPECT_EQ(tokenizer->padding(), 49407);
  EXPECT_EQ(tokenizer->size(), 49408U);
}

TEST(ClipTokenizer, HasTheIdsOfThePapersExample) {
  // From the README of openai/CLIP: clip.tokenize(["a diagram", "a dog", "a cat"]).
  const auto tokenizer = make("clip-bpe", kClipVocabulary);
  EXPECT_EQ(tokenizer->encode("a diagram", 77), (Ids{49406, 320, 22697, 49407}));
  EXPECT_EQ(tokenizer->encode("a dog", 77), (Ids{49406, 320, 1929, 49407}));
  EXPECT_EQ(tokenizer->encode("a cat", 77), (Ids{49406, 320, 2368, 49407}));
}

TEST(ClipTokenizer, TakesMergesAsPlainText) {
  const std::string text = read_vocabulary(kClipVocabulary).value();
  std::string merges = "#version: 0.2\n";
  std::size_t begin = text.find('\n') + 1, end = begin;
  for (int line = 0; line < 48'894; ++line) end = text.find('\n', end) + 1;
  merges.append(text, begin, end - begin);
  const auto tokenizer = from_text("clip-bpe", merges);
  EXPECT_EQ(tokenizer->size(), 49408U);
  expect_ids(*tokenizer, golden()["texts"], golden()["clip"]);
}

TEST(ClipTokenizer, MergesTheEarliestPairFirst) {
  // Ids: bytes from '!' on count from 0, those that end a word from 256, merges from 512, then begin and end.
  const auto tokenizer = from_text("clip-bpe", "a b\r\nab c</w>\nb c\na a\n");
  const std::int64_t a = 'a' - '!', b = a + 1, c = a + 2, end_of_word = 256, ab = 512, abc = 513, bc = 514, aa = 515;
  const auto body = [&](std::string_view text) {
    const Ids ids = tokenizer->encode(text, kUncut);
    EXPECT_EQ(ids.front(), 516);
    EXPECT_EQ(ids.back(), 517);
    return Ids(ids.begin() + 1, ids.end() - 1);
  };
  EXPECT_EQ(body("abc"), (Ids{abc}));
  EXPECT_EQ(body("ab"), (Ids{a, b + end_of_word}));
  EXPECT_EQ(body("abca"), (Ids{ab, c, a + end_of_word}));
  EXPECT_EQ(body("bcb"), (Ids{bc, b + end_of_word}));
  EXPECT_EQ(body("aaaaa"), (Ids{aa, aa, a + end_of_word}));
  EXPECT_EQ(body("aaab"), (Ids{aa, a, b + end_of_word}));
  EXPECT_EQ(body("aaabb"), (Ids{aa, ab, b + end_of_word}));
  EXPECT_EQ(tokenizer->size(), 518U);
}

TEST(WordPieceTokenizer, HasTheReferencesIds) {
  const auto vocabulary = bert_vocabulary();
  if (!vocabulary) GTEST_SKIP() << "BERT's vocab.txt is not here: `image-engine models pull minilm`";
  const auto tokenizer = make("wordpiece", *vocabulary);
  expect_ids(*tokenizer, golden()["texts"], golden()["wordpiece"]);
  for (const json& cut : golden()["wordpiece_cut"]) expect_ids(*tokenizer, golden()["cut_texts"], cut[1], cut[0]);
  EXPECT_EQ(tokenizer->padding(), 0);
  EXPECT_EQ(tokenizer->size(), 30522U);
}

TEST(JsonTokenizer, HasTheReferencesIds) {
  for (const json& one : golden()["json"]) {
    SCOPED_TRACE(one["name"]);
    const auto tokenizer = from_text("tokenizer-json", one["file"].dump());
    expect_ids(*tokenizer, golden()["json_texts"], one["ids"]);
    EXPECT_EQ(tokenizer->padding(), 0);
  }
}

TEST(JsonTokenizer, Siglip2HasTheReferencesIds) {
  const auto tokenizer = from_text("siglip2-json", golden()["json"][0]["file"].dump());
  expect_ids(*tokenizer, golden()["json_texts"], golden()["siglip2"]);
}

constexpr std::string_view kWords = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\r\n,\na\n##a\nb\n";

TEST(WordPieceTokenizer, CutsLikeThePapersExample) {
  const auto tokenizer = from_text("wordpiece", kWords);
  EXPECT_EQ(tokenizer->encode("Unaffable,UNAFF", 77), (Ids{2, 4, 5, 6, 7, 4, 5, 3}));
  EXPECT_EQ(tokenizer->encode("unable unx \u00C0", 77), (Ids{2, 4, 6, 1, 8, 3}));
  EXPECT_EQ(tokenizer->encode("[PAD]a[pad]", 77), (Ids{2, 0, 8, 1, 1, 1, 3}));
  EXPECT_EQ(tokenizer->encode(std::string(100, 'a'), kUncut).size(), 102U);
  EXPECT_EQ(tokenizer->encode(std::string(101, 'a'), kUncut), (Ids{2, 1, 3}));
  EXPECT_EQ(tokenizer->size(), 11U);
}

// A tokenizer.json with a small model, and what a test changes of it.
std::string small_json(const json& changes = json::object()) {
  json file = json::parse(R"({"added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
    "model": {"type": "BPE", "unk_token": "?", "fuse_unk": false, "byte_fallback": true, "merges": ["a b", "ab a"],
              "vocab": {"?": 0, "a": 1, "b": 2, "ab": 3, "aba": 4, "<0xC3>": 5, "<0xA9>": 6, "<0x0A>": 7}}})");
  file.merge_patch(changes);
  return file.dump();
}

TEST(JsonTokenizer, WritesUnknownCharactersAsTheirBytes) {
  const auto tokenizer = from_text("tokenizer-json", small_json());
  EXPECT_EQ(tokenizer->encode("aba\u00E9\nab", 77), (Ids{4, 5, 6, 7, 3}));
  EXPECT_EQ(tokenizer->encode("a\u00EA?x", 77), (Ids{1, 0, 0, 0})) << "without one of its bytes it is unknown";
  EXPECT_EQ(tokenizer->encode("", 77), Ids{});
  EXPECT_EQ(tokenizer->encode("abaa", 1), Ids{4});
  EXPECT_EQ(tokenizer->size(), 8U);
}

TEST(Tokenizer, TakesBytesThatAreNotUtf8AsReplacementCharacters) {
  const std::pair<std::string_view, std::string_view> texts[] = {{"a\xFF"
                                                                  "b",
                                                                  "a\uFFFDb"},
                                                                 {"\xC3", "\uFFFD"},
                                                                 {"\xE2\x82"
                                                                  "a",
                                                                  "\uFFFD\uFFFDa"},
                                                                 {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
                                                                 {"\xC0\x80", "\uFFFD\uFFFD"}};
  const std::unique_ptr<Tokenizer> tokenizers[] = {make("clip-bpe", kClipVocabulary), from_text("wordpiece", kWords),
                                                   from_text("tokenizer-json", small_json())};
  for (const auto& tokenizer : tokenizers)
    for (const auto& [bytes, text] : texts)
      EXPECT_EQ(tokenizer->encode(bytes, 77), tokenizer->encode(text, 77)) << text;
}

TEST(Tokenizer, ReadsTheFirst64KiBOfAText) {
  const auto tokenizer = make("clip-bpe", kClipVocabulary);
  std::string text(65'535, ' ');
  text.append("\u00E9 dog");
  EXPECT_EQ(tokenizer->encode(text, 77), (Ids{49406, 49407})) << "not half of a character";
  EXPECT_EQ(tokenizer->encode(text.substr(1), 77), tokenizer->encode("\u00E9", 77));
  EXPECT_EQ(tokenizer->encode(std::string(10'000'000, 'a'), 77).size(), 77U);
  EXPECT_EQ(tokenizer->encode(std::string(65'536, 'a'), kUncut), tokenizer->encode(std::string(70'000, 'a'), kUncut));
}

TEST(Tokenizer, SaysWhatIsWrongWithAFile) {
  EXPECT_EQ(Tokenizer::create("sentencepiece", kClipVocabulary).error().code, ErrorCode::kInvalidArgument);
  const Error absent = Tokenizer::create("clip-bpe", "no/such/file").error();
  EXPECT_EQ(absent.code, ErrorCode::kNotFound);
  EXPECT_NE(absent.message.find("no/such/file"), std::string::npos) << absent.message;
  EXPECT_EQ(Tokenizer::create("clip-bpe", ".").error().code, ErrorCode::kUnsupported);

  const std::string packed = bytes_of(kClipVocabulary);
  std::string flipped = packed;
  for (std::size_t i = 1000; i < 1100; ++i) flipped[i] = static_cast<char>(~flipped[i]);
  std::string flood = "[1";
  for (int i = 0; i < 300'000; ++i) flood.append(",1");
  flood.append("]");
  const std::tuple<std::string_view, std::string, std::string_view> files[] = {
      {"clip-bpe", "", "no merges"},
      {"clip-bpe", "#version: 0.2\n", "no merges"},
      {"clip-bpe", "#version: 0.2\na b\nc\n", "line 3"},
      {"clip-bpe", "a b\nab zz\n", "line 2"},
      {"clip-bpe", "a b\na b\n", "line 2"},
      {"clip-bpe", "a b c\n", "line 1"},
      {"clip-bpe", packed.substr(0, packed.size() / 2), "gzip"},
      {"clip-bpe", flipped, "gzip"},
      {"clip-bpe", "\x1f\x8b", "gzip"},
      {"wordpiece", "", "[UNK]"},
      {"wordpiece", "[UNK]\n[SEP]\n[PAD]\na\n", "[CLS]"},
      {"clip-bpe", "a b\n\na a\n", "line 2"},
      {"clip-bpe", "a b\n\xFF a\n", "line 2"},
      {"tokenizer-json", "", "JSON"},
      {"tokenizer-json", "[]", "JSON"},
      {"tokenizer-json", small_json().substr(0, 100), "JSON"},
      {"tokenizer-json", std::string(100'000, '['), "deep"},
      {"tokenizer-json", flood, "far more"},
      {"tokenizer-json", small_json({{"model", {{"vocab", {{"a", -1}}}}}}), "without its id"},
      {"tokenizer-json", small_json({{"model", {{"vocab", {{"a", 1e9}}}}}}), "without its id"},
      {"tokenizer-json", small_json({{"model", {{"vocab", {{"a", {1}}}}}}}), "without its id"},
      {"tokenizer-json", small_json({{"model", {{"vocab", {{"aba", nullptr}}}}}}), "merges an unknown token"},
      {"tokenizer-json", small_json({{"model", {{"merges", {"a"}}}}}), "not a pair"},
      {"tokenizer-json", small_json({{"model", {{"merges", {"a b", json::array({"a", "b"})}}}}}), "not a pair"},
      {"tokenizer-json", small_json({{"model", {{"merges", {json::array({"a", "b", "a"})}}}}}), "not a pair"},
      {"tokenizer-json", small_json({{"model", {{"merges", {json::array({"a", "b"}), "a b"}}}}}), "not a pair"},
      {"tokenizer-json", small_json({{"model", {{"unk_token", "missing"}}}}), "missing"},
      {"tokenizer-json", small_json({{"added_tokens", {{{"content", "x"}}}}}), "without its id"},
      {"tokenizer-json", small_json({{"added_tokens", {{{"content", ""}, {"id", 1}}}}}), "added token"},
      {"tokenizer-json", small_json({{"post_processor", {{"type", "TemplateProcessing"}}}}), "leaves out the text"},
      {"siglip2-json", small_json(), "<eos>"},
  };
  for (const auto& [kind, content, named] : files) {
    const Error error = error_of(kind, content);
    EXPECT_EQ(error.code, ErrorCode::kCorrupt) << content.substr(0, 300);
    EXPECT_NE(error.message.find(named), std::string::npos) << error.message << "\nwithout " << named;
  }
}

TEST(Tokenizer, RefusesJsonOfOtherKinds) {
  const json changes[] = {
      {{"model", {{"type", "Unigram"}}}},
      {{"model", {{"end_of_word_suffix", "</w>"}}}},
      {{"model", {{"continuing_subword_prefix", "##"}}}},
      {{"model", {{"ignore_merges", true}}}},
      {{"normalizer", {{"type", "NFKC"}}}},
      {{"normalizer", {{"type", "Replace"}, {"pattern", {{"Regex", "a+"}}}, {"content", ""}}}},
      {{"normalizer", {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "aaaaa"}}}},
      {{"pre_tokenizer", {{"type", "ByteLevel"}}}},
      {{"post_processor", {{"type", "ByteLevel"}}}},
      {{"added_tokens", {{{"content", "x"}, {"id", 1}, {"lstrip", true}}}}},
  };
  for (const json& change : changes)
    EXPECT_EQ(error_of("tokenizer-json", small_json(change)).code, ErrorCode::kUnsupported) << change;
}

TEST(Tokenizer, RefusesFilesOver64MiB) {
  const std::string spaces(std::size_t{65} << 20, '\n');
  EXPECT_EQ(error_of("clip-bpe", spaces).code, ErrorCode::kTooLarge);
  const gzFile file = ::gzopen("tokenizer_test_bad.gz", "wb1");
  ASSERT_NE(file, nullptr);
  ::gzwrite(file, spaces.data(), static_cast<unsigned>(spaces.size()));
  ASSERT_EQ(::gzclose(file), Z_OK);
  EXPECT_EQ(Tokenizer::create("clip-bpe", "tokenizer_test_bad.gz").error().code, ErrorCode::kTooLarge);
}

}  // namespace
}  // namespace image_engine::preprocess
