#include "store/nearest_word.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace image_engine::store {
namespace {

// As many as in nearest_name().
std::size_t most_changes(std::size_t size) {
  return std::clamp<std::size_t>(size / 2, 1, std::max<std::size_t>(2, size / 3));
}

// The least text after all that begin with this one, which is not empty. UTF-8 has no byte 0xFF.
std::string after_all(std::string_view beginning) {
  std::string text(beginning);
  text.back() = static_cast<char>(static_cast<unsigned char>(text.back()) + 1);
  return text;
}

}  // namespace

NearestWord::NearestWord(std::string word) : word_(std::move(word)), distance_(most_changes(word_.size()) + 1) {
  Row& empty = rows_.emplace_back(word_.size() + 1);
  std::iota(empty.begin(), empty.end(), std::size_t{0});
}

NearestWord::Row NearestWord::row_at(std::string_view candidate, std::size_t at) const {
  const Row& above = rows_[at];
  Row row(word_.size() + 1);
  row[0] = at + 1;
  for (std::size_t i = 0; i < word_.size(); ++i) {
    row[i + 1] = std::min({above[i] + (word_[i] == candidate[at] ? 0 : 1), row[i] + 1, above[i + 1] + 1});
    if (i > 0 && at > 0 && word_[i] == candidate[at - 1] && word_[i - 1] == candidate[at])
      row[i + 1] = std::min(row[i + 1], rows_[at - 1][i - 1] + 1);
  }
  return row;
}

// Neighbours in the wrong order are one change from the row before the last.
bool NearestWord::may_be_continued(std::size_t bytes) const {
  const auto least = [&](std::size_t row) { return *std::ranges::min_element(rows_[row]); };
  return least(bytes) < distance_ || least(bytes - 1) + 1 < distance_;
}

std::string NearestWord::compare(std::string_view candidate) {
  const auto [same, end] = std::ranges::mismatch(candidate, last_);
  rows_.resize(static_cast<std::size_t>(same - candidate.begin()) + 1);
  last_ = candidate;
  for (std::size_t at = rows_.size() - 1; at < candidate.size(); ++at) {
    rows_.push_back(row_at(candidate, at));
    if (!may_be_continued(at + 1)) {
      last_.resize(at + 1);
      return after_all(last_);
    }
  }
  if (const std::size_t distance = rows_.back().back(); distance < distance_) {
    distance_ = distance;
    nearest_ = candidate;
  }
  return last_ + '\0';
}

}  // namespace image_engine::store
