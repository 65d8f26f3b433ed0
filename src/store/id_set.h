// A set of asset ids as a bitmap: ids count from 1, so 100,000 assets take 12 KB.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "store/types.h"

namespace image_engine::store {

class IdSet {
 public:
  // Holds ids below `end`; others are ignored.
  explicit IdSet(AssetId end) : end_(end), words_(static_cast<size_t>(end + 63) / 64) {}

  void insert(AssetId id) {
    if (id >= 0 && id < end_) words_[static_cast<size_t>(id) / 64] |= bit(id);
  }
  void insert_all() {
    for (AssetId id = 0; id < end_; ++id) insert(id);
  }
  [[nodiscard]] bool contains(AssetId id) const {
    return id >= 0 && id < end_ && (words_[static_cast<size_t>(id) / 64] & bit(id)) != 0;
  }
  [[nodiscard]] size_t size() const {
    size_t count = 0;
    for (const std::uint64_t word : words_) count += static_cast<size_t>(std::popcount(word));
    return count;
  }
  void keep(const IdSet& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
  }
  void remove(const IdSet& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] &= ~other.words_[i];
  }
  void add(const IdSet& other) {
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  // In ascending order.
  template <typename F>
  void for_each(F&& f) const {
    for (size_t i = 0; i < words_.size(); ++i)
      for (std::uint64_t word = words_[i]; word != 0; word &= word - 1)
        f(static_cast<AssetId>(i * 64 + static_cast<size_t>(std::countr_zero(word))));
  }

 private:
  static std::uint64_t bit(AssetId id) { return std::uint64_t{1} << (static_cast<std::uint64_t>(id) % 64); }
  AssetId end_;
  std::vector<std::uint64_t> words_;
};

}  // namespace image_engine::store
