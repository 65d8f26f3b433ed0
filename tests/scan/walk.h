// A scratch folder for each test, and what a walk of it reports.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "scan/scan.h"
#include "tests/support/scratch.h"

namespace image_engine::scan {

inline const std::string kJpeg("\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0", 20);

class WalkTest : public testing::Test {
 protected:
  void SetUp() override { ::chmod(root.c_str(), 0755); }

  std::string put(const std::string& relative, std::string_view bytes = kJpeg) const {
    return scratch.write(relative, bytes);
  }

  struct Outcome {
    ScanCounts counts;
    std::vector<FoundFile> files;
    std::vector<ScanProblem> problems;
  };

  // What a walk of `roots` (the scratch folder unless said) reports.
  Outcome walk(ScanOptions options = {}, std::vector<std::string> roots = {}) const {
    Outcome outcome;
    const auto walker = Walker::create(std::move(options));
    if (!walker) {
      ADD_FAILURE() << walker.error().message;
      return outcome;
    }
    ScanVisitor visitor;
    visitor.file = [&](FoundFile&& file) {
      outcome.files.push_back(std::move(file));
      return true;
    };
    visitor.problem = [&](const ScanProblem& problem) { outcome.problems.push_back(problem); };
    if (roots.empty()) roots = {root};
    outcome.counts = walker->walk(roots, visitor);
    return outcome;
  }

  // The paths found, relative to the scratch folder, in the order of their report.
  std::vector<std::string> names(const Outcome& outcome) const {
    std::vector<std::string> result;
    for (const auto& file : outcome.files) result.push_back(file.path.substr(root.size() + 1));
    return result;
  }

  const Scratch scratch;
  const std::string root = scratch.path();
};

}  // namespace image_engine::scan
