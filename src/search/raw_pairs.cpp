#include "search/raw_pairs.h"

#include <algorithm>
#include <map>
#include <utility>

namespace image_engine::search {
namespace {

bool may_be_beside_raw(MediaFormat format) { return format == MediaFormat::kJpeg || format == MediaFormat::kHeif; }

// "/a/IMG_1.CR2" → "/a/IMG_1"
std::string path_stem(const std::string& path) {
  const size_t dot = path.rfind('.'), slash = path.rfind('/');
  return dot == std::string::npos || (slash != std::string::npos && dot < slash) ? path : path.substr(0, dot);
}

std::string name_stem(const std::string& path) {
  const std::string stem = path_stem(path);
  return stem.substr(stem.rfind('/') + 1);
}

// Files of one place, or one moment.
using Files = std::vector<const PairFile*>;

class Pairs {
 public:
  // Pairs each raw file with what `better` finds first among the others that `fits` admits.
  template <typename Fits, typename Better>
  void add(const Files& files, Fits fits, Better better) {
    for (const PairFile* raw : files) {
      if (!is_raw(raw->format) || pairs_.contains(raw->path)) continue;
      Files others;
      std::ranges::copy_if(files, std::back_inserter(others), [&](const PairFile* file) {
        return may_be_beside_raw(file->format) && !pairs_.contains(file->path) && fits(*raw, *file);
      });
      if (others.empty()) continue;
      const PairFile* other = *std::ranges::min_element(
          others, {}, [&](const PairFile* file) { return std::tuple(better(*raw, *file), file->path); });
      pairs_.emplace(raw->path, other->path);
      pairs_.emplace(other->path, raw->path);
    }
  }
  [[nodiscard]] RawPairs take() { return std::move(pairs_); }

 private:
  RawPairs pairs_;
};

}  // namespace

RawPairs raw_pairs(const std::vector<PairFile>& files) {
  std::map<std::string, Files> by_place;
  std::map<std::pair<std::string, std::int64_t>, Files> by_time;
  for (const PairFile& file : files) {
    if (!is_raw(file.format) && !may_be_beside_raw(file.format)) continue;
    by_place[path_stem(file.path)].push_back(&file);
    if (file.taken_seconds && !file.camera.empty()) by_time[{file.camera, *file.taken_seconds}].push_back(&file);
  }
  Pairs pairs;
  for (const auto& [place, there] : by_place)
    pairs.add(
        there, [](const PairFile&, const PairFile&) { return true; },
        [](const PairFile&, const PairFile& file) { return -file.pixels; });
  for (const auto& [moment, taken] : by_time)
    pairs.add(
        taken, [](const PairFile& raw, const PairFile& file) { return file.pixels * 2 >= raw.pixels; },
        [](const PairFile& raw, const PairFile& file) {
          return std::pair(name_stem(raw.path) != name_stem(file.path), -file.pixels);
        });
  return pairs.take();
}

}  // namespace image_engine::search
