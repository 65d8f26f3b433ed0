// What is said in assets, for searching: of each asset one text in the order of time, so that phrases are found across
// the borders of segments. It is apart from the text index: it is long, and neither its length nor its words may change
// how other text ranks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "store/sql.h"
#include "store/types.h"

namespace image_engine::store {

// Where a segment begins in its asset's text: in asset_speech by words, in asset_speech_trigram by bytes.
struct SegmentStart {
  MomentId moment = 0;
  std::uint32_t start = 0;
};
// Eight bytes each, little-endian: moment, start. Rest of a damaged row is ignored.
std::string segments_to_bytes(const std::vector<SegmentStart>& segments);
std::vector<SegmentStart> segments_from_bytes(std::string_view bytes);

// The statements of one of the two indexes: `said` and `segments` of an asset, removing and adding it.
struct SpeechTable {
  std::string_view select, erase, insert;
};
inline constexpr SpeechTable kSpeechWords = {"SELECT said, segments FROM asset_speech WHERE rowid = ?",
                                             "DELETE FROM asset_speech WHERE rowid = ?",
                                             "INSERT INTO asset_speech(rowid, said, segments) VALUES(?, ?, ?)"};
inline constexpr SpeechTable kSpeechTrigrams = {
    "SELECT said, segments FROM asset_speech_trigram WHERE rowid = ?",
    "DELETE FROM asset_speech_trigram WHERE rowid = ?",
    "INSERT INTO asset_speech_trigram(rowid, said, segments) VALUES(?, ?, ?)"};

// Replaces the asset's text by what its moments of speech say now.
void refresh_speech(Connection& connection, AssetId asset);
void erase_speech(Connection& connection, AssetId asset);

}  // namespace image_engine::store
