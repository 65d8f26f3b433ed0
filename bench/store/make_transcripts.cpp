// make_transcripts FILE HOURS: a catalogue of HOURS synthetic recordings of one hour, 9,000 words each, as `analyze`
// would leave it, for bench/store/speech.py. The k-th most frequent word is said in proportion to 1/k; the first are
// English function words.
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "core/hash.h"
#include "store/catalogue.h"
#include "types/transcript.h"

namespace {

using namespace image_engine;

constexpr int kSegments = 900;  // of four seconds
constexpr int kWords = 10;      // in a segment
constexpr int kVocabulary = 60'000;
constexpr int kBatch = 20;
constexpr const char* kFrequent[] = {"the", "of",  "and", "to",  "a",  "in", "that", "it", "is", "was",
                                     "I",   "for", "on",  "you", "he", "be", "with", "as", "by", "at"};

// Syllables for the number, so that words have the lengths of English ones: rare words are longer.
std::string word_of(int k) {
  constexpr std::string_view kSyllables[] = {"ba",  "ne", "ti", "ro", "sun", "der", "la", "mo",  "ke",  "vis",
                                             "tor", "en", "pa", "li", "chu", "gar", "fo", "wen", "sha", "by"};
  if (k < static_cast<int>(std::size(kFrequent))) return kFrequent[k];
  std::string word;
  for (int rest = k; rest > 0; rest /= 20) word += kSyllables[rest % 20];
  return word;
}

class Speaker {
 public:
  Speaker() {
    for (int k = 0; k < kVocabulary; ++k) words_.push_back(word_of(k));
  }
  SpeechSegment segment(int i) {
    SpeechSegment segment{i * 4.0, i * 4.0 + 3.9, "en", 0.9, {}};
    for (int w = 0; w < kWords; ++w) {
      const double from = segment.from + 0.39 * w;
      const auto k = static_cast<std::size_t>(std::pow(double{kVocabulary}, uniform_(random_))) - 1;
      segment.words.push_back({" " + words_[k], from, from + 0.37, 0.9});
    }
    return segment;
  }

 private:
  std::vector<std::string> words_;
  std::mt19937 random_{42};
  std::uniform_real_distribution<double> uniform_{0, 1};
};

Status add_recording(store::CatalogueWriter& writer, store::RunId run, int i, Speaker& speaker) {
  store::FileObservation seen;
  seen.path = "/recordings/" + std::to_string(i / 100) + "/talk_" + std::to_string(i) + ".mp4";
  seen.inode = static_cast<std::uint64_t>(i) + 1;
  seen.stamp = {40'000'000 + i, std::int64_t{1'600'000'000'000'000'000} + i};
  seen.format = MediaFormat::kMp4;
  seen.kind = MediaKind::kVideo;
  IE_TRY(const auto file, writer.upsert_file(seen, run));
  const Hash128 hash = hash128(std::to_string(i));
  IE_TRY(const auto content, writer.set_content(file.id, hash, hash));
  for (int s = 0; s < kSegments; ++s) {
    const SpeechSegment said = speaker.segment(s);
    const store::MomentId moment = store::kFirstSpeechMoment + s;
    IE_CHECK(writer.put_moment(content.asset, {moment, store::MomentKind::kSpeech, said.from, said.to}));
    const std::vector<store::Fact> facts = {store::TextFacts{store::TextField::kSaid, {said.text()}}};
    IE_CHECK(writer.put_moment_record(content.asset, {moment, std::string(store::kSpeechStage), speech_record(said)},
                                      facts));
  }
  return writer.put_record(content.asset, {{std::string(store::kSpeechStage), "model", "1", ""}, "cpu", "", "{}", ""});
}

Status make(const std::string& path, int count) {
  IE_TRY(auto lock, store::WriterLock::acquire(path, "make_transcripts"));
  IE_TRY(auto writer, store::CatalogueWriter::open(path, std::move(lock)));
  IE_TRY(const auto run, writer.start_run("make_transcripts"));
  IE_CHECK(writer.add_root("/recordings", 1));
  Speaker speaker;
  for (int i = 0; i < count; ++i) {
    if (i % kBatch == 0) IE_CHECK(writer.begin());
    IE_CHECK(add_recording(writer, run, i, speaker));
    if (i % kBatch == kBatch - 1 || i + 1 == count) IE_CHECK(writer.commit());
  }
  return writer.finish_run(run, {{"files", count}}, 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make_transcripts FILE HOURS\n");
    return 2;
  }
  if (const auto made = make(argv[1], std::atoi(argv[2])); !made) {
    std::fprintf(stderr, "make_transcripts: %s\n", made.error().message.c_str());
    return 1;
  }
  return 0;
}
