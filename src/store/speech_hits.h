// Where an asset says what was asked for, and the words around.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "store/moments.h"
#include "store/phrase.h"
#include "store/speech_index.h"
#include "store/sql.h"
#include "types/transcript.h"

namespace image_engine::store {

struct SpeechPattern {
  Phrase phrase;
  std::string expression;  // of FTS5; empty for scripts without spaces, and for text without a word
  // Of an open phrase, by asset: see find_in().
  std::map<AssetId, std::vector<std::uint32_t>> places = {};
};
SpeechPattern speech_pattern(Connection& connection, const TextCondition& condition);

// A place in the asset's text: first and last word, or byte for scripts without spaces.
struct SpeechHit {
  std::size_t pattern = 0;  // the caller's number
  bool unspaced = false;
  std::uint32_t first = 0, last = 0;
};

// Reads the places of an open phrase in all these assets at once: FTS5 merges the rows of all words that begin so,
// which must not be done for each asset.
void find_in(Connection& connection, const std::vector<AssetId>& assets, SpeechPattern& pattern);

struct SpeechQuote {
  double at = 0;     // of the first word that was asked for, seconds
  std::string text;  // with the words around, in one line
};

// Reads one asset's speech; only the segments that are asked for.
class AssetSpeech {
 public:
  AssetSpeech(Connection& connection, AssetId asset) : connection_(connection), asset_(asset) {}
  // By time.
  std::vector<SpeechHit> find(const SpeechPattern& pattern, std::size_t number);
  // The moments at which the hit begins and ends.
  MomentId first_moment(const SpeechHit& hit) { return segments(hit)[segment_of(hit, hit.first)].moment; }
  MomentId last_moment(const SpeechHit& hit) { return segments(hit)[segment_of(hit, hit.last)].moment; }
  SpeechQuote quote(const SpeechHit& hit);

 private:
  struct Segment {
    double from = 0, to = 0;
    std::string text;  // its words joined
    std::vector<SpokenWord> words;
    std::vector<std::size_t> begins;  // of each word in the text, bytes
  };
  // A word, and a byte of its segment's text.
  struct Place {
    std::size_t segment = 0, word = 0, byte = 0;
  };
  [[nodiscard]] const std::vector<SegmentStart>& segments(const SpeechHit& hit) const {
    return hit.unspaced ? by_byte_ : by_word_;
  }
  [[nodiscard]] std::size_t segment_of(const SpeechHit& hit, std::uint32_t place) const;
  const Segment& segment(std::size_t number);
  Place place_of(const SpeechHit& hit, std::uint32_t place);
  bool step(Place& place, bool forward);
  std::vector<std::uint32_t> word_hits(const SpeechPattern& pattern);

  Connection& connection_;
  AssetId asset_;
  std::vector<SegmentStart> by_word_, by_byte_;  // the same segments
  std::optional<std::string> unspaced_;
  std::map<std::size_t, Segment> read_;
};

}  // namespace image_engine::store
