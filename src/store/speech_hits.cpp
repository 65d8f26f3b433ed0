#include "store/speech_hits.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/json.h"
#include "core/text.h"
#include "store/asset_index.h"
#include "store/conditions.h"
#include "store/explain.h"
#include "store/folding.h"
#include "store/rows.h"

namespace image_engine::store {
namespace {

constexpr size_t kWordsAround = 8;  // before the hit, and after it

bool begins_with_space(const std::string& text) { return !text.empty() && text[0] == ' '; }

}  // namespace

SpeechPattern speech_pattern(Connection& connection, const TextCondition& condition) {
  SpeechPattern pattern{phrase_of(connection, condition), {}};
  if (pattern.phrase.anywhere.empty())
    pattern.expression = match_expression(connection, condition, condition.prefix);
  else
    pattern.phrase.anywhere = ascii_lower(composed_text(query_text(condition.text)));  // speech is stored as it is
  return pattern;
}

void find_in(Connection& connection, const std::vector<AssetId>& assets, SpeechPattern& pattern) {
  if (pattern.expression.empty() || !pattern.phrase.prefix) return;
  connection.add_word_places();
  for (const AssetId asset : assets) pattern.places[asset];
  // The sign keeps SQLite from looking up each asset by itself.
  auto row = connection.query(
      "SELECT rowid, word_places(asset_speech) FROM asset_speech WHERE asset_speech MATCH ? "
      "AND +rowid IN (SELECT value FROM json_each(?))",
      pattern.expression, json_text(nlohmann::json(assets)));
  while (row.next()) pattern.places[row.integer(0)] = word_places_from(row.bytes(1));
}

std::vector<std::uint32_t> AssetSpeech::word_hits(const SpeechPattern& pattern) {
  const auto known = pattern.places.find(asset_);
  if (known == pattern.places.end()) {
    connection_.add_word_places();
    auto row =
        connection_.query("SELECT word_places(asset_speech) FROM asset_speech WHERE asset_speech MATCH ? AND rowid = ?",
                          pattern.expression, asset_);
    return row.next() ? word_places_from(row.bytes(0)) : std::vector<std::uint32_t>();
  }
  return known->second;
}

std::vector<SpeechHit> AssetSpeech::find(const SpeechPattern& pattern, size_t number) {
  std::vector<SpeechHit> hits;
  if (!pattern.expression.empty()) {
    const std::vector<std::uint32_t> places = word_hits(pattern);
    if (!places.empty() && by_word_.empty()) {
      auto row = connection_.query("SELECT segments FROM asset_speech WHERE rowid = ?", asset_);
      if (row.next()) by_word_ = segments_from_bytes(row.bytes(0));
    }
    const auto length = static_cast<std::uint32_t>(pattern.phrase.tokens.size());
    for (const std::uint32_t place : places) hits.push_back({number, false, place, place + length - 1});
  } else if (!pattern.phrase.anywhere.empty()) {
    if (!unspaced_) {
      auto row = connection_.query(kSpeechTrigrams.select, asset_);
      const bool there = row.next();
      unspaced_ = there ? ascii_lower(row.bytes(0)) : "";
      if (there) by_byte_ = segments_from_bytes(row.bytes(1));
    }
    const std::string& wanted = pattern.phrase.anywhere;
    for (size_t at = 0; (at = unspaced_->find(wanted, at)) != std::string::npos; at += wanted.size())
      hits.push_back(
          {number, true, static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + wanted.size() - 1)});
  }
  if (!hits.empty() && segments(hits.front()).empty()) hits.clear();  // a damaged row
  return hits;
}

size_t AssetSpeech::segment_of(const SpeechHit& hit, std::uint32_t place) const {
  const std::vector<SegmentStart>& all = segments(hit);
  const auto after = std::ranges::upper_bound(all, place, {}, &SegmentStart::start);
  return after == all.begin() ? 0 : static_cast<size_t>(after - all.begin()) - 1;
}

const AssetSpeech::Segment& AssetSpeech::segment(size_t number) {
  const auto [known, is_new] = read_.try_emplace(number);
  Segment& segment = known->second;
  if (!is_new) return segment;
  const MomentId moment = (by_word_.empty() ? by_byte_ : by_word_)[number].moment;
  auto row = connection_.query(
      "SELECT m.from_seconds, m.to_seconds, r.data, t.name FROM moments m "
      "LEFT JOIN moment_records r ON r.asset_id = m.asset_id AND r.stage = ?3 AND r.moment = m.moment "
      "LEFT JOIN moment_things t ON t.asset_id = m.asset_id AND t.field = ?4 AND t.moment = m.moment "
      "WHERE m.asset_id = ?1 AND m.moment = ?2",
      asset_, moment, kSpeechStage, text_field_name(TextField::kSaid));
  if (!row.next()) return segment;
  segment.from = row.real(0);
  segment.to = std::max(row.real(1), segment.from);
  if (auto record = speech_from_record(row.bytes(2), segment.from, segment.to))
    segment.words = std::move(record->words);
  if (segment.words.empty()) segment.words = spread_words(row.bytes(3), segment.from, segment.to);
  for (const SpokenWord& word : segment.words) {
    // As in the index, which has no blanks at the ends of a segment.
    const size_t blanks = segment.text.empty() ? std::min(word.text.find_first_not_of(' '), word.text.size()) : 0;
    segment.begins.push_back(segment.text.size());
    segment.text += word.text.substr(blanks);
  }
  return segment;
}

AssetSpeech::Place AssetSpeech::place_of(const SpeechHit& hit, std::uint32_t place) {
  Place found{segment_of(hit, place), 0, 0};
  const Segment& in = segment(found.segment);
  std::uint32_t rest = place - std::min(place, segments(hit)[found.segment].start);
  if (hit.unspaced)
    found.byte = rest;
  else
    connection_.tokenize(in.text, [&](std::string_view, int from, int) {
      if (rest-- == 0) found.byte = static_cast<size_t>(from);
    });
  const auto after = std::ranges::upper_bound(in.begins, found.byte);
  found.word = after == in.begins.begin() ? 0 : static_cast<size_t>(after - in.begins.begin()) - 1;
  return found;
}

// To the next word or the one before, in another segment if need be; false where there is none.
bool AssetSpeech::step(Place& place, bool forward) {
  const size_t count = std::max(by_word_.size(), by_byte_.size());
  if (forward ? place.word + 1 < segment(place.segment).words.size() : place.word > 0) {
    place.word += forward ? 1 : -1;
    return true;
  }
  for (size_t number = place.segment; forward ? ++number < count : number-- > 0;) {
    const size_t words = segment(number).words.size();
    if (words == 0) continue;
    place = {number, forward ? 0 : words - 1, 0};
    return true;
  }
  return false;
}

SpeechQuote AssetSpeech::quote(const SpeechHit& hit) {
  SpeechQuote quote;
  const Place first = place_of(hit, hit.first), last = place_of(hit, hit.last);
  const Segment& in = segment(first.segment);
  if (in.words.empty()) return {in.from, ""};
  const SpokenWord& word = in.words[first.word];
  // Of a long word in a script without spaces, the share before the hit.
  const double share = word.text.empty() || !hit.unspaced ? 0
                                                          : static_cast<double>(first.byte - in.begins[first.word]) /
                                                                static_cast<double>(word.text.size());
  quote.at = std::clamp(word.from + share * (word.to - word.from), in.from, in.to);

  Place at = first;
  size_t before = 0;
  while (before < kWordsAround && step(at, false)) ++before;
  Place earlier = at;
  std::string text = step(earlier, false) ? "…" : "";
  size_t match = 0;
  size_t after = 0;
  bool is_after = false, more = true;
  size_t segment_before = at.segment;
  while (more) {
    const std::string& said = segment(at.segment).words[at.word].text;
    const bool is_first = text.empty() || text == "…";
    const bool joined = has_unspaced_script(said) && has_unspaced_script(text);
    if (at.segment != segment_before && !is_first && !begins_with_space(said) && !joined) text += ' ';
    segment_before = at.segment;
    const size_t begin = text.size();
    text += is_first && begins_with_space(said) ? said.substr(1) : said;
    if (at.segment == first.segment && at.word == first.word)
      match = begin + (hit.unspaced ? first.byte - segment(at.segment).begins[at.word] : 0);
    if (is_after) ++after;
    is_after = is_after || std::pair(at.segment, at.word) >= std::pair(last.segment, last.word);
    more = (!is_after || after < kWordsAround) && step(at, true);
    if (!more && is_after && after == kWordsAround && step(at, true)) text += "…";
  }
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  quote.text = excerpt(text, std::min(match, text.size()));
  return quote;
}

}  // namespace image_engine::store
