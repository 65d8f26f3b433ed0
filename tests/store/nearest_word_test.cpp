#include "store/nearest_word.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "core/text.h"

namespace image_engine::store {
namespace {

// The nearest of a sorted vocabulary, and how many of its words were compared.
struct Search {
  std::string nearest;
  std::size_t compared = 0;
};
Search search(const std::set<std::string>& vocabulary, const std::string& word) {
  NearestWord nearest(word);
  Search done;
  for (auto at = vocabulary.begin(); at != vocabulary.end(); ++done.compared)
    at = vocabulary.lower_bound(nearest.compare(*at));
  done.nearest = nearest.nearest();
  return done;
}

TEST(NearestWord, IsSpelledMostAlike) {
  const std::set<std::string> words = {"beach", "beer", "dog", "dogs", "holiday", "straße", "word"};
  EXPECT_EQ(search(words, "baech").nearest, "beach");
  EXPECT_EQ(search(words, "dgo").nearest, "dog");
  EXPECT_EQ(search(words, "hollidays").nearest, "holiday");
  EXPECT_EQ(search(words, "stra\xC3\x9F").nearest, "straße");
  EXPECT_EQ(search(words, "wrod").nearest, "word");
  EXPECT_EQ(search(words, "qqqqqq").nearest, "");
  EXPECT_EQ(search({}, "dog").nearest, "");
}

// As nearest_name() over all words, of which few are compared.
TEST(NearestWord, WhatIsPassedOverIsNotNearer) {
  std::mt19937 random(3);
  std::set<std::string> words;
  const auto some_word = [&] {
    std::string word = "w";
    for (std::size_t i = 1 + random() % 8; i > 0; --i) word += static_cast<char>('a' + random() % 4);
    return word;
  };
  while (words.size() < 3000) words.insert(some_word());
  const std::vector<std::string_view> all(words.begin(), words.end());
  std::size_t compared = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string word = some_word();
    const Search found = search(words, word);
    EXPECT_EQ(found.nearest, nearest_name(word, all)) << word;
    compared += found.compared;
  }
  EXPECT_LT(compared, 200 * words.size() / 2);
}

}  // namespace
}  // namespace image_engine::store
