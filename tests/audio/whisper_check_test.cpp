#include "audio/whisper_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "audio/onnx_outline.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::audio {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Metadata = std::map<std::string, std::string>;

std::string number(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}

// A field of Protocol Buffers that holds bytes.
std::string field(unsigned key, const std::string& bytes) {
  return number(key << 3 | 2) + number(bytes.size()) + bytes;
}

std::string onnx(const Metadata& metadata, int inputs, int outputs) {
  std::string graph = field(1, "a node") + field(5, std::string(100'000, '\x7f'));
  for (int i = 0; i < inputs; ++i) graph += field(11, "in");
  for (int i = 0; i < outputs; ++i) graph += field(12, "out");
  std::string model = number(1 << 3) + number(8) + field(2, "a maker") + field(7, graph);
  for (const auto& [key, value] : metadata) model += field(14, field(1, key) + field(2, value));
  return model + field(8, number(2 << 3) + number(17));
}

// Of tiny.en and base.
const Metadata kEnglish = {{"n_mels", "80"},        {"n_text_layer", "4"},     {"n_text_ctx", "448"},
                           {"n_text_state", "384"}, {"n_vocab", "51864"},      {"sot", "50257"},
                           {"eot", "50256"},        {"blank_id", "220"},       {"translate", "50357"},
                           {"transcribe", "50358"}, {"is_multilingual", "0"},  {"no_timestamps", "50362"},
                           {"no_speech", "50361"},  {"sot_sequence", "50257"}, {"something", "else"}};

Metadata multilingual() {
  Metadata metadata = kEnglish;
  metadata["n_vocab"] = "51865";
  metadata["is_multilingual"] = "1";
  metadata["sot_sequence"] = "50258,50259,50359";
  metadata["all_language_tokens"] = "50259,50260,50261";
  metadata["all_language_codes"] = "en,zh,de";
  return metadata;
}

class WhisperCheck : public testing::Test {
 protected:
  Result<WhisperFacts> check(const std::string& encoder, const std::string& decoder, const std::string& tokens) {
    return check_whisper(scratch_.write("encoder.onnx", encoder), scratch_.write("decoder.onnx", decoder),
                         scratch_.write("tokens.txt", tokens));
  }
  Result<WhisperFacts> check(const Metadata& metadata) {
    return check(onnx(metadata, 1, 2), onnx({}, 6, 4), "IQ== 0\nIg== 1\n");
  }
  // The message of what sherpa-onnx would not take.
  std::string refusal(const Metadata& metadata) {
    const Result<WhisperFacts> facts = check(metadata);
    if (facts) return "none";
    EXPECT_EQ(facts.error().code, ErrorCode::kUnsupported) << facts.error().message;
    EXPECT_THAT(facts.error().message, HasSubstr("encoder.onnx"));
    return facts.error().message;
  }
  Scratch scratch_;
};

TEST_F(WhisperCheck, English) {
  const auto facts = check(kEnglish);
  ASSERT_OK(facts);
  EXPECT_FALSE(facts->is_multilingual);
  EXPECT_TRUE(facts->has_word_times);
  EXPECT_THAT(facts->languages, ElementsAre("en"));
  EXPECT_EQ(facts->words, 51864);
  EXPECT_EQ(facts->mels, 80);
}

TEST_F(WhisperCheck, ManyLanguages) {
  const auto facts = check(onnx(multilingual(), 1, 2), onnx({}, 6, 3), "IQ== 0\n");
  ASSERT_OK(facts);
  EXPECT_TRUE(facts->is_multilingual);
  EXPECT_FALSE(facts->has_word_times);
  EXPECT_THAT(facts->languages, ElementsAre("en", "zh", "de"));
}

TEST_F(WhisperCheck, EachKeyIsNeeded) {
  for (const Metadata& whole : {kEnglish, multilingual()}) {
    for (const auto& [key, value] : whole) {
      if (key == "something") continue;
      Metadata lacking = whole;
      lacking.erase(key);
      EXPECT_THAT(refusal(lacking), HasSubstr("lacks " + key));
      lacking[key] = "";
      EXPECT_THAT(refusal(lacking), HasSubstr("lacks " + key));
      if (key == "all_language_codes") continue;
      for (const char* wrong : {"-1", "many", "4 8", "99999999999", "1,,2", "1,"}) {
        lacking[key] = wrong;
        EXPECT_THAT(refusal(lacking), HasSubstr(key)) << wrong;
      }
    }
  }
}

TEST_F(WhisperCheck, NumbersThatDoNotBelongTogether) {
  const std::pair<std::pair<std::string, std::string>, std::string> kCases[] = {
      {{"sot", "51865"}, "beyond"},
      {{"sot_sequence", "50258,50259"}, "sot_sequence"},
      {{"sot_sequence", "50258,50259,60000"}, "sot_sequence"},
      {{"all_language_codes", "en,zh"}, "different lengths"},
      {{"n_text_ctx", "1000000"}, "absurd"},
  };
  for (const auto& [change, part] : kCases) {
    Metadata metadata = multilingual();
    metadata[change.first] = change.second;
    EXPECT_THAT(refusal(metadata), HasSubstr(part));
  }
}

TEST_F(WhisperCheck, OtherGraphs) {
  const std::string encoder = onnx(kEnglish, 1, 2), decoder = onnx({}, 6, 4), tokens = "IQ== 0\n";
  EXPECT_THAT(check(onnx(kEnglish, 1, 1), decoder, tokens).error().message, HasSubstr("has 1 outputs"));
  EXPECT_THAT(check(encoder, onnx({}, 4, 1), tokens).error().message, HasSubstr("decoder.onnx"));
  for (const char* wrong :
       {"", "IQ==\n", "IQ== x\n", "IQ== 51864\n", "IQ== -1\n", "IQ== 0\nIg== 0\n", " 0\n", "a b 0\n"})
    EXPECT_THAT(check(encoder, decoder, wrong).error().message, HasSubstr("tokens.txt")) << wrong;
  ASSERT_OK(check(encoder, decoder, "IQ== 0\r\nIg== 7"));
}

TEST_F(WhisperCheck, FilesThatAreNotThere) {
  const std::string file = scratch_.write("x", onnx(kEnglish, 1, 2));
  const auto facts = check_whisper(file, scratch_ / "absent.onnx", scratch_ / "absent.txt");
  EXPECT_EQ(facts.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(facts.error().message, HasSubstr("absent.onnx"));
}

// Bytes

ErrorCode code_of(const std::string& bytes) {
  const auto outline = onnx_outline(std::as_bytes(std::span(bytes)));
  return outline ? ErrorCode::kInternal : outline.error().code;
}

TEST(OnnxOutline, CutAnywhere) {
  const std::string model = onnx(multilingual(), 1, 2);
  ASSERT_EQ(code_of(model), ErrorCode::kInternal);
  // Between two fields of the model it may end; then entries lack.
  for (size_t size = 0; size < model.size(); size += size < 40 || size > 100'000 ? 1 : 997) {
    const std::string cut = model.substr(0, size);
    const auto outline = onnx_outline(std::as_bytes(std::span(cut)));
    if (outline)
      EXPECT_LE(outline->metadata.size(), multilingual().size()) << size;
    else
      EXPECT_EQ(outline.error().code, ErrorCode::kCorrupt) << size;
  }
}

TEST(OnnxOutline, HostileBytes) {
  const std::string huge = "\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
  for (const std::string& bytes :
       {std::string(), std::string("PK\3\4"), std::string(1000, '\0'), std::string(1000, '\xff'), huge, "\x3a" + huge,
        "\x72" + huge, field(7, "\x0a" + huge), field(14, field(7, "")), field(14, "\x0a" + huge),
        field(7, "") + field(14, field(1, std::string(2 << 20, 'x'))), field(7, std::string(1, '\x0b'))})
    EXPECT_EQ(code_of(bytes), ErrorCode::kCorrupt) << bytes.substr(0, 20);
  std::string many = field(7, "");
  for (int i = 0; i < 20'000; ++i) many += field(14, field(1, std::to_string(i)));
  EXPECT_EQ(code_of(many), ErrorCode::kCorrupt);
}

TEST(OnnxOutline, ChangedBytes) {
  const std::string model = onnx(kEnglish, 1, 2);
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string changed = model;
    for (int i = 0; i < 5; ++i) {
      const size_t place = random() % 2 == 0 ? random() % 60 : model.size() - 1 - random() % 500;
      changed[place] = static_cast<char>(random());
    }
    const ErrorCode code = code_of(changed);
    EXPECT_TRUE(code == ErrorCode::kInternal || code == ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace image_engine::audio
