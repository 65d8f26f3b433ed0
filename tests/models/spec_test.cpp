#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "models/registry.h"
#include "models/spec.h"
#include "models/spec_file.h"
#include "models/store.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::models {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kSha(64, 'a');

// A document of one sound model, with more lines in its entry.
std::string with(const std::string& lines) {
  return "models:\n  net:\n    task: objects\n    version: 1\n    licence: {name: MIT, permissive: true}\n"
         "    files: [{name: x.onnx, sha256: " +
         kSha + ", sources: ['file:/x']}]\n    file: x.onnx\n" + lines;
}

class Specs : public testing::Test {
 protected:
  Result<Registry> load(const std::string& shipped, const std::string& added = "") {
    if (!added.empty()) scratch_.write("added/own.yaml", added);
    return Registry::load(scratch_.write("models.yaml", shipped), scratch_ / "added");
  }
  std::string error_of(const std::string& shipped, const std::string& added = "") {
    const Result<Registry> registry = load(shipped, added);
    if (registry) return "no error";
    EXPECT_EQ(registry.error().code, ErrorCode::kInvalidArgument) << registry.error().message;
    return registry.error().message;
  }
  Spec read(const std::string& text) {
    const Result<Registry> registry = load(text);
    if (!registry) ADD_FAILURE() << registry.error().message;
    return registry ? registry->specs().at(0) : Spec{};
  }
  Scratch scratch_;
};

TEST_F(Specs, EveryKey) {
  const Spec spec =
      read(R"(
models:
  net-1.0_b:
    task: objects
    title: A net
    version: "3"
    default: true
    preference: -2
    licence: {name: CC-BY-NC-4.0, permissive: false, notice: for research}
    files:
      - {name: a.json, sha256: )" +
           kSha + R"(, bytes: 12, sources: ["npm:@some/net@1.2.3/models/a.json", "pypi:net-x==2.0/net/a.json"]}
      - {name: a.bin, sources: ["hf:some/net@main/onnx/a.bin"]}
    convert: {tool: tfjs_to_onnx, outputs: [{name: a.onnx}, {name: a8.onnx, sha256: )" +
           kSha + R"(}]}
    variants:
      - {precision: fp32, file: a.onnx}
      - {precision: int8, file: a8.onnx, gate: {cosine: 0.99, max_error: 0.01}}
    input: {name: image, width: 416, height: 320, fit: letterbox, align: top-left, filter: bicubic, layout: nhwc, order: bgr,
            type: uint8, resize_edge: 256, longest: 1333, pad: [1, 2, 3], mean: [103.53, 0, 0], deviation: [2, 3, 4]}
    outputs: [scores, boxes]
    head: nanodet
    options: {threshold: 0.4, activation: sigmoid}
    labels: [cat, "dog"]
    classes: 2
)");
  EXPECT_EQ(spec.name, "net-1.0_b");
  EXPECT_EQ(spec.task + "|" + spec.title + "|" + spec.version + "|" + spec.head, "objects|A net|3|nanodet");
  EXPECT_TRUE(spec.in_default_set);
  EXPECT_EQ(spec.preference, -2);
  EXPECT_EQ(spec.licence.name + "|" + spec.licence.notice, "CC-BY-NC-4.0|for research");
  EXPECT_FALSE(spec.licence.permissive);
  ASSERT_EQ(spec.files.size(), 2U);
  EXPECT_EQ(spec.files[0].bytes, 12U);
  EXPECT_EQ(spec.files[0].sha256, kSha);
  ASSERT_EQ(spec.files[0].sources.size(), 2U);
  EXPECT_EQ(spec.files[0].sources[1].kind, SourceKind::kPypi);
  EXPECT_EQ(spec.conversion.tool, "tfjs_to_onnx");
  EXPECT_EQ(spec.conversion.outputs[1].sha256, kSha);
  ASSERT_EQ(spec.variants.size(), 2U);
  EXPECT_EQ(spec.variants[1].precision + spec.variants[1].file, "int8a8.onnx");
  EXPECT_DOUBLE_EQ(spec.variants[1].gate.cosine, 0.99);
  EXPECT_DOUBLE_EQ(spec.variants[1].gate.max_error, 0.01);
  const InputSpec& input = spec.input;
  EXPECT_EQ(input.name + "|" + input.fit + "|" + input.align + "|" + input.filter, "image|letterbox|top-left|bicubic");
  EXPECT_EQ(input.layout + "|" + input.order + "|" + input.type, "nhwc|bgr|uint8");
  EXPECT_THAT((std::vector{input.width, input.height, input.resize_edge, input.longest}),
              ElementsAre(416, 320, 256, 1333));
  EXPECT_THAT(input.pad, ElementsAre(1, 2, 3));
  EXPECT_THAT(input.mean, ElementsAre(103.53, 0, 0));
  EXPECT_THAT(input.deviation, ElementsAre(2, 3, 4));
  EXPECT_THAT(spec.outputs, ElementsAre("scores", "boxes"));
  EXPECT_THAT(spec.labels, ElementsAre("cat", "dog"));
  EXPECT_EQ(number_option(spec, "threshold", 9).value(), 0.4);
  EXPECT_EQ(number_option(spec, "nms", 9).value(), 9);
  EXPECT_EQ(number_option(spec, "activation", 9).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(spec.file, scratch_ / "models.yaml");

  // What is written is read as the same.
  const Result<SpecMap> again = read_specs(scratch_.write("again.yaml", spec_text(spec)), {});
  ASSERT_OK(again);
  EXPECT_EQ(spec_json(again->at("net-1.0_b")), spec_json(spec));
}

// A model of pictures and texts, with more lines in its text tower.
std::string with_text(const std::string& lines = "") {
  return "models:\n  net:\n    task: embedding\n    version: 1\n    licence: {name: MIT, permissive: true}\n"
         "    files:\n      - {name: x.onnx, sources: ['file:/x']}\n      - {name: t.onnx, sources: ['file:/t']}\n"
         "      - {name: words.txt, sources: ['file:/w']}\n    file: x.onnx\n"
         "    text:\n      tokenizer: clip-bpe\n      vocabulary: words.txt\n      context: 77\n" +
         lines;
}

TEST_F(Specs, TextTower) {
  const Spec spec = read(with_text(
      "      fixed: true\n      outputs: [text_embeds]\n"
      "      variants: [{precision: fp32, file: t.onnx}, {precision: int8, file: x.onnx, gate: {cosine: 0.9}}]\n"));
  EXPECT_EQ(spec.text.tokenizer + "|" + spec.text.vocabulary, "clip-bpe|words.txt");
  EXPECT_EQ(spec.text.context, 77U);
  EXPECT_TRUE(spec.text.fixed);
  EXPECT_THAT(spec.text.outputs, ElementsAre("text_embeds"));
  ASSERT_EQ(spec.text.variants.size(), 2U);
  EXPECT_EQ(spec.text.variants[0].precision + spec.text.variants[0].file, "fp32t.onnx");
  EXPECT_DOUBLE_EQ(spec.text.variants[1].gate.cosine, 0.9);
  EXPECT_EQ(spec.variants.at(0).file, "x.onnx");

  const Result<SpecMap> again = read_specs(scratch_.write("again.yaml", spec_text(spec)), {});
  ASSERT_OK(again);
  EXPECT_EQ(spec_json(again->at("net")), spec_json(spec));
  EXPECT_EQ(again->at("net").text.variants.at(1).file, "x.onnx");
}

// A model of two parts, with more lines behind them.
std::string with_parts(const std::string& lines = "") {
  return "models:\n  net:\n    task: text\n    version: 1\n    licence: {name: MIT, permissive: true}\n"
         "    files:\n      - {name: d.onnx, sources: ['file:/d']}\n      - {name: r.onnx, sources: ['file:/r']}\n"
         "    parts:\n      read:\n        file: r.onnx\n        input: {width: 320, order: bgr}\n"
         "        outputs: [letters]\n        options: {least: 0.5}\n"
         "      detect:\n        variants: [{precision: fp32, file: d.onnx}]\n" +
         lines;
}

TEST_F(Specs, Parts) {
  const Spec spec = read(with_parts("    options: {threshold: 1}\n"));
  ASSERT_EQ(spec.parts.size(), 2U);
  EXPECT_EQ(spec.variants.at(0).file, "d.onnx");

  const Spec part = part_of(spec, "read").value();
  EXPECT_EQ(part.name + part.task + part.file, spec.name + spec.task + spec.file);
  EXPECT_EQ(part.variants.at(0).file, "r.onnx");
  EXPECT_EQ(part.input.width, 320U);
  EXPECT_EQ(part.input.order, "bgr");
  EXPECT_THAT(part.outputs, ElementsAre("letters"));
  EXPECT_EQ(number_option(part, "least", 0).value(), 0.5);
  EXPECT_EQ(number_option(part, "threshold", 0).value(), 0);
  const auto none = part_of(spec, "orient");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(none.error().message, HasSubstr("has no part orient"));

  const Result<SpecMap> again = read_specs(scratch_.write("again.yaml", spec_text(spec)), {});
  ASSERT_OK(again);
  EXPECT_EQ(spec_json(again->at("net")), spec_json(spec));
  EXPECT_EQ(again->at("net").variants.at(0).file, "d.onnx");
}

TEST_F(Specs, PartsOfAnotherModelAreKept) {
  const auto loaded = load(with_parts("  near:\n    like: net\n    parts: {read: {options: {least: 0.7}}}\n"));
  ASSERT_OK(loaded);
  const Spec& near = *loaded->find("near").value();
  EXPECT_EQ(near.parts.at("read").options.at("least"), "0.7");
  EXPECT_EQ(near.parts.at("read").variants.at(0).file, "r.onnx");
  EXPECT_EQ(near.parts.at("detect").variants.at(0).file, "d.onnx");
}

TEST_F(Specs, PartsThatAreWrong) {
  EXPECT_THAT(error_of(with_parts("      other: {}\n")), HasSubstr("parts.other lacks `variants` or `file`"));
  EXPECT_THAT(error_of(with_parts("      other: {file: none.onnx}\n")), HasSubstr("a part's variant of none.onnx"));
  EXPECT_THAT(error_of(with_parts("      other: {file: r.onnx, labels: [a]}\n")), HasSubstr("unknown key \"labels\""));
  EXPECT_THAT(error_of(with_parts("      read: {file: r.onnx}\n")), HasSubstr("read is there twice"));
  EXPECT_THAT(error_of(with_parts("      'a b': {file: r.onnx}\n")), HasSubstr("an invalid name"));
  EXPECT_THAT(error_of(with_parts("    file: d.onnx\n")), HasSubstr("has `file` beside `parts`"));
  std::string empty = with_parts();
  empty.resize(empty.find("      read:"));
  EXPECT_THAT(error_of(empty), HasSubstr("must hold parts by their names"));
}

TEST_F(Specs, ParamsOfParts) {
  std::string other = with_parts();
  other.replace(other.find("least: 0.5"), 10, "least: 0.6");
  EXPECT_NE(spec_params(read(with_parts())), spec_params(read(other)));
  std::string swapped = with_parts();
  swapped.replace(swapped.find("file: r.onnx"), 12, "file: d.onnx");
  EXPECT_NE(spec_params(read(with_parts())), spec_params(read(swapped)));
}

TEST_F(Specs, TextTowerOfOneFile) {
  const Spec with_file = read(with_text("      file: t.onnx\n"));
  ASSERT_EQ(with_file.text.variants.size(), 1U);
  EXPECT_EQ(with_file.text.variants[0].precision + with_file.text.variants[0].file, "fp32t.onnx");
  EXPECT_FALSE(with_file.text.fixed);
  EXPECT_TRUE(read(with_text()).text.variants.empty());
  EXPECT_TRUE(read(with("")).text.tokenizer.empty());
}

TEST_F(Specs, TextTowersThatAreWrong) {
  EXPECT_THAT(error_of(with_text("      file: other.onnx\n")), AllOf(HasSubstr("other.onnx"), HasSubstr("none of")));
  EXPECT_THAT(error_of(with_text("      vocab: x\n")), HasSubstr("unknown key \"vocab\""));
  EXPECT_THAT(error_of(with_text("      file: t.onnx\n      variants: [{precision: a, file: t.onnx}]\n")),
              HasSubstr("both"));
  EXPECT_THAT(error_of(with_text("      variants: [{precision: a, file: t.onnx}, {precision: a, file: x.onnx}]\n")),
              HasSubstr("two variants a"));
  const auto entry = [](const std::string& text) { return with("    text: {" + text + "}\n"); };
  EXPECT_THAT(error_of(entry("tokenizer: t, vocabulary: none.txt, context: 3")),
              AllOf(HasSubstr("vocabulary none.txt"), HasSubstr("none of its files")));
  EXPECT_THAT(error_of(entry("tokenizer: t, vocabulary: x.onnx")), HasSubstr("`context`"));
  EXPECT_THAT(error_of(entry("tokenizer: t, context: 3")), HasSubstr("`vocabulary`"));
  EXPECT_THAT(error_of(entry("vocabulary: x.onnx, context: 3")), HasSubstr("`tokenizer`"));
  EXPECT_THAT(error_of(entry("tokenizer: t, vocabulary: ../up, context: 3")), HasSubstr("file's name"));
}

TEST_F(Specs, ParamsOfATextTowerBesidePictures) {
  const std::string with_own = "      file: t.onnx\n";
  std::string longer = with_text(with_own), none = with_text();
  longer.replace(longer.find("77"), 2, "64");
  none.resize(none.find("    text:"));
  EXPECT_EQ(spec_params(read(with_text(with_own))), spec_params(read(longer)));
  EXPECT_EQ(spec_params(read(with_text(with_own))), spec_params(read(none)));
  // Here the vectors recorded are its own.
  longer = with_text();
  longer.replace(longer.find("77"), 2, "64");
  EXPECT_NE(spec_params(read(with_text())), spec_params(read(longer)));
}

// Written down when it was first recorded: catalogues hold it.
TEST_F(Specs, ParamsStayWhatTheyWere) {
  EXPECT_EQ(spec_params(read(with("    input: {width: 3}\n"))), "adbab19f9931fe62cbf6553016f4be73");
}

TEST_F(Specs, NothingIsNoModel) {
  EXPECT_TRUE(load("")->specs().empty());
  EXPECT_TRUE(load("models:\n")->specs().empty());
}

TEST_F(Specs, LabelsOfAFile) {
  scratch_.write("labels/two.txt", "cat\nhot dog\r\n");
  EXPECT_THAT(read(with("    labels: labels/two.txt\n    classes: 2\n")).labels, ElementsAre("cat", "hot dog"));
  EXPECT_THAT(error_of(with("    labels: labels/two.txt\n    classes: 3\n")),
              AllOf(HasSubstr("2 labels"), HasSubstr("3 classes")));
  EXPECT_THAT(error_of(with("    labels: labels/none.txt\n")), HasSubstr("none.txt"));
  scratch_.write("labels/gap.txt", "cat\n\ndog\n");
  EXPECT_THAT(error_of(with("    labels: labels/gap.txt\n")), HasSubstr("line 2"));
  scratch_.write("labels/bytes.txt", "c\xff\n");
  EXPECT_THAT(error_of(with("    labels: labels/bytes.txt\n")), HasSubstr("UTF-8"));
}

TEST_F(Specs, LabelsOfAudioSetsTables) {
  scratch_.write("labels/indices.csv",
                 "index,mid,display_name\r\n0,/m/09x0r,\"Speech\"\r\n1,/m/05zppz,\"Male speech, man speaking\"\r\n");
  EXPECT_THAT(read(with("    labels: labels/indices.csv\n")).labels,
              ElementsAre("Speech", "Male speech, man speaking"));
  scratch_.write("labels/map.CSV", "index,mid,display_name\n0,/m/09x0r,Speech\n1,/m/x,\"Say \"\"ah\"\", please\"\n");
  EXPECT_THAT(read(with("    labels: labels/map.CSV\n")).labels, ElementsAre("Speech", "Say \"ah\", please"));
  for (const auto& [rows, hint] :
       {std::pair("0,/m/a,A\n2,/m/b,B\n", "line 3 no label with the index 1"), std::pair("0,/m/a,A, B\n", "line 2"),
        std::pair("0,/m/a,\"A\n", "line 2"), std::pair("0,/m/a,\n", "line 2"), std::pair("\n", "line 2")}) {
    scratch_.write("labels/bad.csv", std::string("index,mid,display_name\n") + rows);
    EXPECT_THAT(error_of(with("    labels: labels/bad.csv\n")), HasSubstr(hint)) << rows;
  }
  scratch_.write("labels/bad.csv", "cat\ndog\n");
  EXPECT_THAT(error_of(with("    labels: labels/bad.csv\n")),
              AllOf(HasSubstr("display_name"), HasSubstr("one label a line")));
}

TEST_F(Specs, SoundInputs) {
  const auto tagging = [](const std::string& more) {
    std::string text = with("    head: probabilities\n" + more);
    return text.replace(text.find("task: objects"), 13, "task: audio-tagging");
  };
  const std::string labels = "    labels: [Dog, Applause]\n";
  const std::string features =
      "    sound: {rate: 32000, window_seconds: 10, hop_seconds: 5, row_seconds: 0.5, keep: [Dog], "
      "features: {bands: 64, frame: 1024, step: 320, lowest: 50, highest: 14000, filters: librosa, edges: mirrored, "
      "log: decibels, "
      "range: 80, mean: 1, deviation: 2}}\n";
  const Spec spec = read(tagging(labels + features));
  EXPECT_EQ(spec.sound.rate, 32'000U);
  EXPECT_EQ(spec.sound.features.filters, "librosa");
  EXPECT_THAT(spec.sound.keep, ElementsAre("Dog"));
  const Spec again = read(spec_text(spec));
  EXPECT_EQ(spec_json(again), spec_json(spec)) << "all keys are written";
  EXPECT_NE(spec_params(read(tagging(labels + "    sound: {rate: 32000, window_seconds: 9}\n"))),
            spec_params(read(tagging(labels + "    sound: {rate: 32000, window_seconds: 10}\n"))));
  EXPECT_THAT(error_of(with("    sound: {rate: 16000}\n")), HasSubstr("only models for audio-tagging"));
  const std::pair<const char*, const char*> wrong[] = {
      {"", "16000 or 32000"},
      {"    sound: {rate: 44100, window_seconds: 1}\n", "16000 or 32000"},
      {"    sound: {rate: 16000}\n", "window_seconds"},
      {"    sound: {rate: 16000, window_seconds: 31}\n", "0.1 to 30"},
      {"    sound: {rate: 16000, window_seconds: 1, hop_seconds: 2}\n", "hop_seconds"},
      {"    sound: {rate: 16000, window_seconds: 1, row_seconds: 0.3}\n", "whole number of rows"},
      {"    sound: {rate: 16000, window_seconds: 1, keep: [dog]}\n", "did you mean \"Dog\""},
      {"    sound: {rate: 16000, window_seconds: 1, window: 2}\n", "unknown key \"window\""},
      {"    sound: {rate: 16000, window_seconds: 1}\n    head: softmax\n", "one of probabilities, sigmoid"},
      {"    sound: {rate: 16000, window_seconds: 1, features: {bands: 64}}\n", "features.frame"},
      {"    sound: {rate: 16000, window_seconds: 1, features: {bands: 64, frame: 400, step: 160, filters: mel}}\n",
       "torchaudio"},
      {"    sound: {rate: 16000, window_seconds: 1, features: {bands: 64, frame: 400, step: 160, transform: 256}}\n",
       "transform"},
      {"    sound: {rate: 16000, window_seconds: 1, features: {bands: 64, frame: 400, step: 160, highest: 9000}}\n",
       "highest"},
      {"    sound: {rate: 16000, window_seconds: 1, features: {bands: 64, frame: 400, step: 160, floor: 0}}\n",
       "logarithm"},
  };
  for (const auto& [text, hint] : wrong) {
    std::string document = tagging(labels + text);
    if (document.find("head: softmax") != std::string::npos) document.erase(document.find("    head: prob"), 24);
    EXPECT_THAT(error_of(document), HasSubstr(hint)) << text;
  }
  const std::string plain = "    sound: {rate: 16000, window_seconds: 1}\n";
  EXPECT_THAT(error_of(tagging(plain)), HasSubstr("lacks `labels`"));
  EXPECT_THAT(error_of(tagging(plain + "    labels: [a, a]\n")), HasSubstr("two labels"));
  EXPECT_THAT(error_of(tagging(plain + "    labels: none.csv\n")), HasSubstr("none.csv"));
}

TEST_F(Specs, LikeStartsFromAnother) {
  const std::string more =
      "  small: {like: net, input: {width: 64}, options: {nms: 0.5}}\n  tiny: {like: small, title: T}\n";
  const Result<Registry> registry =
      load(with("    default: true\n    input: {width: 100, height: 50}\n    options: {threshold: 0.1}\n") + more,
           "models: {own: {like: tiny, version: '9'}}");
  ASSERT_OK(registry);
  const Spec& own = **registry->find("own");
  EXPECT_EQ(own.input.width, 64U);
  EXPECT_EQ(own.input.height, 50U);
  EXPECT_EQ(own.version + own.title + own.name, "9Town");
  EXPECT_EQ(own.head_options.size(), 2U);
  EXPECT_FALSE(own.in_default_set);
  EXPECT_EQ(own.file, scratch_ / "added/own.yaml");
}

TEST_F(Specs, LikeCopiesNoLicenceAndNoNames) {
  const Result<Registry> registry =
      load(with("    aliases: [me/net]\n"), "models: {own: {like: net}, paid: {like: net, licence: {name: X}}}");
  ASSERT_OK(registry);
  const Spec& own = **registry->find("own");
  EXPECT_EQ(own.licence.name, kUnstatedLicence);
  EXPECT_FALSE(own.licence.permissive);
  EXPECT_TRUE(own.aliases.empty());
  EXPECT_EQ((*registry->find("paid"))->licence.name, "X");
  EXPECT_EQ((*registry->find("me/net"))->name, "net");
}

TEST_F(Specs, AFileThatTheUserBrings) {
  const std::string awaited =
      "models: {mine: {task: objects, licence: {name: X}, awaits: {file: mine.pt, from: 'its makers'}}}";
  const Result<Registry> registry = load(awaited);
  ASSERT_OK(registry);
  const Spec& mine = **registry->find("mine");
  EXPECT_EQ(mine.awaits.file + ", " + mine.awaits.from, "mine.pt, its makers");
  EXPECT_EQ(install_command(mine), "image-engine models add mine.pt --as mine --trust");
  EXPECT_THAT(registry->find("mien").error().message,
              AllOf(HasSubstr("did you mean \"mine\"?"), HasSubstr("models add mine.pt --as mine")));
  EXPECT_THAT(error_of("models: {m: {task: objects, licence: {name: X}, awaits: {file: m.onnx}}}"), HasSubstr("from"));
  EXPECT_EQ(
      error_of("models: {m: {task: x, licence: {name: X}, awaits: {file: a.onnx, from: x}, parts: {a: {file: a.onnx}, "
               "b: {file: b.onnx}}}}"),
      "no error");
  EXPECT_THAT(error_of("models: {m: {task: objects, awaits: {file: m.onnx, from: x}}}"), HasSubstr("licence.name"));
  EXPECT_THAT(error_of(with("    awaits: {file: m.onnx, from: x}\n")), HasSubstr("files too"));
  EXPECT_THAT(error_of("models: {m: {task: objects, licence: {name: X}, awaits: {file: a/m.onnx, from: x}}}"),
              HasSubstr("name of the file"));
}

TEST_F(Specs, LikeThatLeadsNowhere) {
  EXPECT_THAT(error_of("models: {a: {like: a}}"), HasSubstr("leads back to a"));
  EXPECT_THAT(error_of("models: {a: {like: b}, b: {like: c}, c: {like: a}}"), HasSubstr("leads back"));
  EXPECT_THAT(error_of(with("  b: {like: nett}\n")), AllOf(HasSubstr("nett"), HasSubstr("\"net\"")));
  std::string chain = "models:\n";
  for (int i = 0; i < 100'000 / 20; ++i)
    chain += "  m" + std::to_string(i) + ": {like: m" + std::to_string(i + 1) + "}\n";
  EXPECT_THAT(error_of(chain), HasSubstr("chain"));
}

TEST_F(Specs, TheUsersWin) {
  const Result<Registry> registry = load(with(""), with("    title: mine\n"));
  ASSERT_TRUE(registry);
  ASSERT_EQ(registry->specs().size(), 1U);
  EXPECT_EQ(registry->specs()[0].title, "mine");
  scratch_.write("added/second.yaml", with(""));
  EXPECT_THAT(error_of(with("")), AllOf(HasSubstr("second.yaml"), HasSubstr("own.yaml")));
}

TEST_F(Specs, FindNamesTheNearest) {
  const Result<Registry> registry = load(with(""));
  ASSERT_TRUE(registry);
  EXPECT_EQ(registry->find("nte").error().code, ErrorCode::kNotFound);
  EXPECT_THAT(registry->find("nett").error().message, HasSubstr("\"net\""));
}

struct Wrong {
  std::string lines;  // of the entry
  std::string part;   // of the message
};

TEST_F(Specs, WrongEntries) {
  const Wrong kWrong[] = {
      {"    taks: x\n", "did you mean \"task\""},
      {"    input: {hieght: 3}\n", "did you mean \"height\""},
      {"    input: {width: -1}\n", "integer"},
      {"    input: {width: 99999999999}\n", "integer"},
      {"    input: {mean: [1, 2]}\n", "three numbers"},
      {"    input: {mean: [1, 2, nan]}\n", "number"},
      {"    input: [1]\n", "keys and values"},
      {"    default: maybe\n", "true or false"},
      {"    preference: high\n", "integer"},
      {"    outputs: a\n", "list"},
      {"    options: {a: [1]}\n", "words"},
      {"    variants: [{precision: fp32, file: x.onnx}]\n", "both"},
      {"    title: a\n    title: b\n", "twice"},
      {"    convert: {tool: ../evil, outputs: [{name: y.onnx}]}\n", "tool"},
      {"    convert: {tool: t}\n", "outputs"},
      {"    convert: {tool: t, outputs: [{name: y.onnx}, {name: y.onnx}]}\n", "two files y.onnx"},
      {"    convert: {tool: t, outputs: [{name: y.onnx}]}\n", "none of its conversion's outputs"},
      {"  Big: {}\n", "invalid name"},
      {"  ../up: {}\n", "invalid name"},
      {"  .hidden: {}\n", "invalid name"},
      {"  net: {}\n", "twice"},
      {"  b: 3\n", "keys and values"},
      {"  b: {like: net, file: other.onnx}\n", "other.onnx"},
      {"  b: {like: net, version: ''}\n", "`version`"},
      {"  b: {like: net, files: []}\n", "`files`"},
      {"  b: {like: net, files: [{name: x.onnx}]}\n", "no source"},
      {"  b: {like: net, files: [{name: x.onnx, sources: ['https://h/x']}]}\n", "sha256"},
      {"  b: {like: net, files: [{name: a/b, sources: ['file:/x']}]}\n", "file's name"},
      {"  b: {like: net, files: [{name: .., sources: ['file:/x']}]}\n", "file's name"},
      {"  b: {like: net, files: [{name: provenance.json, sources: ['file:/x']}]}\n", "file's name"},
      {"  b: {like: net, files: [{name: x, sha256: ABC, sources: ['file:/x']}]}\n", "64 hexadecimal"},
      {"  b: {like: net, files: [{name: x, sources: ['ftp://h/x']}]}\n", "not a source"},
      {"  b: {like: net, variants: [{precision: fp32, file: x.onnx}, {precision: fp32, file: x.onnx}]}\n",
       "two variants"},
  };
  for (const Wrong& wrong : kWrong)
    EXPECT_THAT(error_of(with(wrong.lines)), AllOf(HasSubstr("models.yaml:"), HasSubstr(wrong.part))) << wrong.lines;
}

TEST_F(Specs, ErrorsNameTheLine) {
  EXPECT_THAT(error_of("models:\n  net:\n    task: objects\n    inptu: {}\n"), HasSubstr("models.yaml:4: "));
  EXPECT_THAT(error_of("models:\n  net:\n    input:\n      width: x\n"),
              HasSubstr("models.yaml:4: models.net.input.width"));
}

TEST_F(Specs, HostileDocuments) {
  std::string bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'p'; ++c)
    bomb += std::string(1, c) + ": &" + c + " [*" + std::string(1, static_cast<char>(c - 1)) + ",*" +
            std::string(1, static_cast<char>(c - 1)) + "]\n";
  EXPECT_THAT(error_of(bomb), HasSubstr("aliases"));
  EXPECT_THAT(error_of("models: &m\n  net: *m\n"), HasSubstr("aliases"));
  EXPECT_THAT(error_of(std::string(100'000, '[')), HasSubstr("models.yaml"));
  EXPECT_THAT(error_of(std::string(50'000, '{')), HasSubstr("models.yaml"));
  EXPECT_THAT(error_of("models: [" + std::string(20'000, '-') + "\n"), HasSubstr("models.yaml"));
  EXPECT_THAT(error_of("? [a]\n: b\n"), HasSubstr("models.yaml"));
  EXPECT_THAT(error_of("42"), HasSubstr("keys and values"));
  EXPECT_THAT(error_of(std::string("\0\xff\xfe", 3)), HasSubstr("models.yaml"));
  EXPECT_EQ(load(std::string(2 << 20, '#')).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(Registry::load(scratch_ / "none.yaml", "").error().code, ErrorCode::kNotFound);
}

TEST_F(Specs, ParamsChangeWithWhatChangesTheOutput) {
  const std::string base = spec_params(read(with("    input: {width: 3}\n")));
  EXPECT_EQ(base,
            spec_params(read(with("    input: {width: 3}\n    title: T\n    preference: 3\n    default: true\n"))));
  for (const char* lines :
       {"    input: {width: 4}\n", "    input: {width: 3, order: bgr}\n", "    input: {width: 3}\n    head: yolo\n",
        "    input: {width: 3}\n    labels: [a]\n", "    input: {width: 3}\n    options: {threshold: 1}\n",
        "    input: {width: 3}\n    outputs: [a]\n"})
    EXPECT_NE(base, spec_params(read(with(lines)))) << lines;
  std::string other = with("    input: {width: 3}\n");
  other.replace(other.find(kSha), 64, std::string(64, 'b'));
  EXPECT_NE(base, spec_params(read(other)));
}

TEST_F(Specs, EnginesAreFilesOfTheModelOrPaths) {
  EXPECT_EQ(read(with("")).engine, "");
  EXPECT_EQ(read(with("    engine: built/net.trt\n")).engine, scratch_ / "built/net.trt");
  EXPECT_EQ(read(with("    engine: ../net.trt\n")).engine,
            std::filesystem::path(scratch_ / "../net.trt").lexically_normal().string());
  EXPECT_EQ(read(with("    engine: /e/net.trt\n")).engine, "/e/net.trt");
  const Spec own = read(with("    engine: x.onnx\n"));
  EXPECT_EQ(own.engine, "x.onnx");
  const Store store(scratch_ / "store");
  EXPECT_EQ(store.engine_path(own), scratch_ / "store/net/x.onnx");
  EXPECT_EQ(store.engine_path(read(with(""))), "");
  const Spec other = read(with("    engine: built/net.trt\n"));
  EXPECT_EQ(store.engine_path(other), scratch_ / "built/net.trt");
  const Result<SpecMap> again = read_specs(scratch_.write("deep/again.yaml", spec_text(other)), {});
  ASSERT_OK(again);
  EXPECT_EQ(again->at("net").engine, other.engine);  // where it lay, not beside what was written
  EXPECT_EQ(spec_params(other), spec_params(read(with(""))));
  EXPECT_THAT(error_of(with("    engine: ''\n")), HasSubstr("engine must name a file"));
  EXPECT_THAT(error_of(with("    engine: [a]\n")), HasSubstr("must be text"));
}

TEST_F(Specs, OfAServerHaveNoFiles) {
  const std::string served = "models:\n  far:\n    task: embedding\n    version: 1\n    server: nvidia\n";
  const auto registry = load(served + "    options: {dimensions: 1024}\n");
  ASSERT_OK(registry);
  const Spec spec = registry->specs().at(0);
  EXPECT_EQ(spec.server, "nvidia");
  const Store store(scratch_ / "store");
  EXPECT_EQ(store.presence(spec), Presence::kServed);
  EXPECT_TRUE(store.verify(spec));
  // Named, it is the one; by itself it is never taken.
  EXPECT_EQ(choose(*registry, store, "embedding", "far")->spec->name, "far");
  EXPECT_EQ(choose(*registry, store, "embedding", "auto").error().code, ErrorCode::kNotFound);
  // Another model at the server has other vectors.
  Registry other = *registry;
  other.name_served("nvidia/another");
  EXPECT_NE(spec_params(other.specs().at(0)), spec_params(spec));
  EXPECT_EQ(read_specs(scratch_.write("again.yaml", spec_text(spec)), {})->at("far").server, "nvidia");

  EXPECT_THAT(error_of(served + "    file: x.onnx\n"), HasSubstr("has a server, and files too"));
  EXPECT_THAT(error_of("models:\n  far: {task: objects, version: 1, server: nvidia}\n"),
              HasSubstr("which only models for embedding have"));
  EXPECT_THAT(error_of("models:\n  far: {task: embedding, version: 1, server: someone}\n"),
              HasSubstr("the server someone, which can be nvidia"));
  EXPECT_THAT(error_of("models:\n  far: {task: embedding, server: nvidia}\n"), HasSubstr("lacks `version`"));
}

TEST(Sources, Forms) {
  const Result<Source> npm = parse_source("npm:@some/net@1.2.3/models/a.json");
  ASSERT_TRUE(npm);
  EXPECT_EQ(npm->name + "|" + npm->version + "|" + npm->path, "@some/net|1.2.3|models/a.json");
  const Result<Source> hf = parse_source("hf:some/net@main/onnx/a.onnx");
  EXPECT_EQ(hf->name + "|" + hf->version + "|" + hf->path, "some/net|main|onnx/a.onnx");
  const Result<Source> ngc = parse_source("ngc:nvidia/tao/net:v1.0/a.onnx");
  EXPECT_EQ(ngc->name + "|" + ngc->version + "|" + ngc->path, "nvidia/tao/net|v1.0|a.onnx");
  const Result<Source> pypi = parse_source("pypi:net==1.0/net/a.onnx");
  EXPECT_EQ(pypi->name + "|" + pypi->version + "|" + pypi->path, "net|1.0|net/a.onnx");
  EXPECT_EQ(parse_source("file:/a b/c")->path, "/a b/c");
  EXPECT_EQ(parse_source("https://host/a?b=c")->path, "https://host/a?b=c");
}

TEST(Sources, Refused) {
  for (const char* text : {"",
                           "x",
                           "ftp://h/x",
                           "hf:net",
                           "hf:a/b@main",
                           "hf:a/b@main/",
                           "hf:a/b@main/../x",
                           "hf:/a@b/c",
                           "npm:@a/b@1/x/../../y",
                           "npm:@a/b/x",
                           "pypi:a=1/x",
                           "pypi:a==1",
                           "pypi:a==../x",
                           "ngc:a/b/c",
                           "https://",
                           "https:///etc/passwd",
                           "https://h/a b",
                           "https://h/\n",
                           "file:",
                           "hf:a@b/c//d"})
    EXPECT_FALSE(parse_source(text)) << text;
}

}  // namespace
}  // namespace image_engine::models
