// The word of a sorted vocabulary that is spelled most like another.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace image_engine::store {

// Words are compared one after the other in the order of their bytes. The beginnings that two of them share are
// compared once, and of those that no word continues well enough is said how far to go on, so that most need not be
// read.
class NearestWord {
 public:
  // Of words of one length up to as many changes as nearest_name() (core/text.h) allows.
  explicit NearestWord(std::string word);
  // `candidate` follows the one before, in the order of bytes. Returns the least text after it that may be nearer than
  // the nearest one until now.
  std::string compare(std::string_view candidate);
  // Of several equally near the first; empty when none is near enough.
  [[nodiscard]] const std::string& nearest() const { return nearest_; }

 private:
  using Row = std::vector<std::size_t>;
  // The distances of the candidate's first `at` + 1 bytes to all beginnings of the word.
  [[nodiscard]] Row row_at(std::string_view candidate, std::size_t at) const;
  [[nodiscard]] bool may_be_continued(std::size_t bytes) const;

  std::string word_, last_, nearest_;
  std::size_t distance_;   // the nearest must have less
  std::vector<Row> rows_;  // of the beginnings of `last_`, the empty one first
};

}  // namespace image_engine::store
