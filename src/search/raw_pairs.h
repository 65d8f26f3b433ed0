// Raw photos and the JPEGs that the camera wrote beside them: one picture of two files.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "search/photo_facts.h"

namespace image_engine::search {

// The other file of each raw photo's or JPEG's pair, by path.
using RawPairs = std::unordered_map<std::string, std::string>;

// A file, by what makes two of them a pair.
struct PairFile {
  std::string path;
  MediaFormat format = MediaFormat::kNone;
  std::optional<std::int64_t> taken_seconds;
  std::string camera;
  std::int64_t pixels = 0;
};

// Pairs a raw file with the JPEG or HEIF file of its folder and stem; else of its camera and time, of its stem if there
// is one, and no smaller than half its pixels. Each file is in one pair at most.
RawPairs raw_pairs(const std::vector<PairFile>& files);

}  // namespace image_engine::search
