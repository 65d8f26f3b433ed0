// Which of some rows goes with which of some columns, so that all pairs together gain most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace image_engine::video {

// That a row may go with a column, and what that gains.
struct Candidate {
  std::uint32_t row = 0, column = 0;
  double gain = 0;  // finite; candidates that gain nothing are never chosen
};

// Pairs (row, column) of the largest sum of gains, each row and each column in one pair at most. By row. Exact: of each
// group of rows and columns that candidates connect, a dense matrix is solved in n²m steps (n ≤ m, its sides).
std::vector<std::pair<std::uint32_t, std::uint32_t>> best_pairs(std::span<const Candidate> candidates);

}  // namespace image_engine::video
