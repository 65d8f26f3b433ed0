#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>
#include <set>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "core/file.h"
#include "models/add.h"
#include "models/digest.h"
#include "models/install_paths.h"
#include "models/pull.h"
#include "models/spec_file.h"
#include "models/store.h"
#include "tests/support/files.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"
#include "tests/support/stop.h"

namespace image_engine::models {
namespace {

using testing::HasSubstr;

// Models whose one file is copied from the scratch folder.
class Models : public testing::Test {
 protected:
  Models() : store_(scratch_ / "store") {}

  Spec spec(const std::string& name, const std::string& text, int preference = 0, const std::string& task = "objects") {
    const std::string path = scratch_.write("from/" + name, text);
    Spec spec;
    spec.name = name;
    spec.task = task;
    spec.version = "1";
    spec.licence = {"MIT", true, ""};
    spec.preference = preference;
    spec.files = {{"x.onnx", sha256_of(path).value(), text.size(), {parse_source("file:" + path).value()}}};
    spec.variants = {{"fp32", "x.onnx", {}}};
    return spec;
  }
  // The catalogue of these as YAML says them.
  Registry registry(const std::string& entries) {
    std::string text = "models:\n" + entries;
    return Registry::load(scratch_.write("models.yaml", text), scratch_ / "none").value();
  }
  std::string entry(const Spec& spec) {
    return "  " + spec.name + ": {task: " + spec.task +
           ", version: '1', licence: {name: MIT, permissive: true}, default: " +
           (spec.in_default_set ? "true" : "false") + ", preference: " + std::to_string(spec.preference) +
           ", files: [{name: x.onnx, sha256: " + spec.files[0].sha256 + ", sources: ['" +
           spec.files[0].sources[0].text + "']}], file: x.onnx}\n";
  }
  Scratch scratch_;
  Store store_;
  PullOptions options_;
};

// FIPS 180-2, appendix B.1 and B.2; the empty text is well known.
TEST_F(Models, Sha256) {
  EXPECT_EQ(sha256_of(scratch_.write("a", "abc")).value(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of(scratch_.write("b", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")).value(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_of(scratch_.write("c", "")).value(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  // printf abc | openssl dgst -sha512 -binary | base64 -w0
  EXPECT_TRUE(check_integrity(
      scratch_ / "a",
      "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw=="));
  EXPECT_EQ(check_integrity(scratch_ / "b", "sha512-3a81").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(check_integrity(scratch_ / "a", "md5-3a81").error().code, ErrorCode::kUnsupported);
}

TEST_F(Models, PullInstallsAndStateFollows) {
  const Spec net = spec("net", "weights");
  EXPECT_EQ(store_.presence(net), Presence::kAbsent);
  EXPECT_EQ(store_.variant_path(net, net.variants[0]), "");
  ASSERT_TRUE(pull(net, store_, options_));
  EXPECT_EQ(store_.presence(net), Presence::kInstalled);
  const std::string path = store_.variant_path(net, net.variants[0]);
  EXPECT_EQ(bytes_of(path), "weights");
  EXPECT_TRUE(store_.verify(net));

  scratch_.write("store/net/x.onnx", "weightS");
  EXPECT_EQ(store_.presence(net), Presence::kInstalled);
  EXPECT_EQ(store_.verify(net).error().code, ErrorCode::kCorrupt);
  scratch_.write("store/net/x.onnx", "w");
  EXPECT_EQ(store_.presence(net), Presence::kDamaged);
  EXPECT_EQ(store_.variant_path(net, net.variants[0]), "");

  Spec changed = net;
  changed.files[0].sha256 = std::string(64, 'a');
  EXPECT_EQ(store_.presence(changed), Presence::kOutdated);
  EXPECT_EQ(pull(changed, store_, options_).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(bytes_of(path), "w") << "a failed pull leaves what was there";
}

TEST_F(Models, ADamagedProvenanceIsNoCrash) {
  const Spec net = spec("net", "weights");
  ASSERT_TRUE(pull(net, store_, options_));
  const std::string sound = bytes_of(scratch_ / "store/net/provenance.json");
  for (size_t size = 0; size < sound.size() - 2; size += 7) {
    scratch_.write("store/net/provenance.json", sound.substr(0, size));
    EXPECT_EQ(store_.presence(net), Presence::kDamaged) << size;
    EXPECT_FALSE(store_.verify(net));
  }
  std::string climbing = sound;
  climbing.replace(climbing.find("x.onnx"), 6, "../../x");
  scratch_.write("store/net/provenance.json", climbing);
  EXPECT_EQ(store_.presence(net), Presence::kDamaged);
  ASSERT_TRUE(pull(net, store_, options_));
  EXPECT_TRUE(store_.verify(net));
}

TEST_F(Models, ACancelledPullIsInterrupted) {
  options_.stop = stopped();
  EXPECT_EQ(pull(spec("net", "weights"), store_, options_).error().code, ErrorCode::kInterrupted);
  EXPECT_EQ(store_.presence(spec("net", "weights")), Presence::kAbsent);
}

TEST_F(Models, AFileThatMayNotGrow) {
  const Spec net = spec("net", std::string(1 << 20, 'x'));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100'000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status status = pull(net, store_, options_);
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_FALSE(status);
  EXPECT_EQ(store_.presence(net), Presence::kAbsent);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(scratch_ / "store"))
    EXPECT_FALSE(entry.is_regular_file()) << entry.path();
}

TEST_F(Models, AReaderKeepsWhatItOpened) {
  const Spec first = spec("net", "first");
  ASSERT_TRUE(pull(first, store_, options_));
  std::ifstream reader(store_.variant_path(first, first.variants[0]));
  ASSERT_TRUE(pull(spec("net", "second"), store_, options_));
  std::string text;
  reader >> text;
  EXPECT_EQ(text, "first");
  EXPECT_EQ(bytes_of(scratch_ / "store/net/x.onnx"), "second");
}

TEST_F(Models, ChooseTakesTheBestInstalled) {
  Spec low = spec("low", "a", 1), high = spec("high", "b", 9), other = spec("other", "c", 99, "faces");
  low.in_default_set = true;
  const Registry known = registry(entry(low) + entry(high) + entry(other));
  const auto name = [](const Spec* spec) { return spec == nullptr ? "" : spec->name; };

  Result<Choice> choice = choose(known, store_, "objects", "auto");
  EXPECT_EQ(name(choice->spec) + "|" + name(choice->missing), "|low") << "what `models pull` would bring";
  ASSERT_TRUE(pull(low, store_, options_));
  choice = choose(known, store_, "objects", "auto");
  EXPECT_EQ(name(choice->spec) + "|" + name(choice->missing), "low|");
  ASSERT_TRUE(pull(high, store_, options_));
  EXPECT_EQ(name(choose(known, store_, "objects", "auto")->spec), "high");
  EXPECT_EQ(name(choose(known, store_, "objects", "low")->spec), "low");

  EXPECT_EQ(name(choose(known, store_, "faces", "other")->missing), "other");
  EXPECT_EQ(choose(known, store_, "objects", "other").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(choose(known, store_, "objects", "lwo").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(choose(known, store_, "speech", "auto").error().code, ErrorCode::kNotFound);
}

TEST(Shipped, StatesEachLicence) {
  const Result<Registry> registry = Registry::load(std::string(IE_SOURCE_DIR) + "/config/models.yaml", "/nonexistent");
  ASSERT_OK(registry);
  for (const Spec& spec : registry->specs()) EXPECT_NE(spec.licence.name, kUnstatedLicence) << spec.name;
}

TEST(Shipped, ReadsAndNamesItsLabels) {
  const std::string shipped = std::string(IE_SOURCE_DIR) + "/config/models.yaml";
  const Result<Registry> registry = Registry::load(shipped, "/nonexistent");
  ASSERT_OK(registry);
  for (const char* name : {"nanodet", "centernet"}) {
    const Result<const Spec*> spec = registry->find(name);
    ASSERT_TRUE(spec) << name;
    ASSERT_EQ((*spec)->labels.size(), 80U);
    EXPECT_EQ((*spec)->labels[0] + "," + (*spec)->labels[16] + "," + (*spec)->labels[79], "person,dog,toothbrush");
  }
  const std::vector<std::string>& imagenet = (*registry->find("efficientnet-lite0"))->labels;
  EXPECT_EQ(imagenet.at(0) + "," + imagenet.at(281) + "," + imagenet.at(999), "tench,tabby,toilet tissue");
  EXPECT_EQ(std::set<std::string>(imagenet.begin(), imagenet.end()).size(), 1000U);
}

// A text tower's words have as many numbers as its pictures, and what `models pull` takes needs no key.
TEST(Shipped, WhatTheTasksNeed) {
  const Result<Registry> registry = Registry::load(std::string(IE_SOURCE_DIR) + "/config/models.yaml", "/nonexistent");
  ASSERT_OK(registry);
  for (const Spec& spec : registry->specs()) {
    SCOPED_TRACE(spec.name);
    const bool is_here = spec.server.empty();
    const bool reads_text = spec.task == "embedding" || spec.task == "sentences" || spec.head == "phrase";
    EXPECT_EQ(is_here && reads_text, !spec.text.tokenizer.empty());
    if (spec.task == "embedding" || spec.task == "sentences" || spec.task == "features") {
      EXPECT_GT(number_option(spec, "dimensions", 0).value(), 0);
    }
    EXPECT_EQ(is_here && spec.task == "embedding", spec.head_options.contains("logit_scale"));
    for (const FileSpec& file : spec.in_default_set ? spec.files : std::vector<FileSpec>{})
      for (const Source& source : file.sources)
        EXPECT_TRUE(source.kind == SourceKind::kPypi || source.kind == SourceKind::kNpm) << source.text;
  }
}

}  // namespace
}  // namespace image_engine::models
