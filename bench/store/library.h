// A synthetic library of photos. The words follow a Zipf-like law; "common" is in every asset, "photo" in every file
// name, text in every fifth photo.
#pragma once

#include <cmath>
#include <cstdint>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "store/catalogue.h"

namespace image_engine::bench {

inline constexpr int kVocabulary = 20'000;
inline constexpr const char* kMakes[][2] = {{"Canon", "Canon EOS 40D"},
                                            {"NIKON CORPORATION", "NIKON D90"},
                                            {"Apple", "iPhone 12"},
                                            {"SONY", "ILCE-7M3"},
                                            {"Google", "Pixel 6"}};
inline constexpr const char* kPlaces[][3] = {{"Munich", "Bavaria", "Germany"},
                                             {"Lisbon", "Lisbon", "Portugal"},
                                             {"Kyoto", "Kyoto", "Japan"},
                                             {"Zürich", "Zürich", "Switzerland"}};
inline constexpr const char* kUnspaced[] = {"東京タワー", "京都の寺", "海辺の夕日", "ภูเขา"};

class Library {
 public:
  store::FileObservation file(int i) {
    const int year = 2000 + i % 24;
    store::FileObservation seen;
    seen.path = "/library/" + std::to_string(year) + "/album " + std::to_string(i / 200) + "/photo_" +
                std::to_string(i) + ".jpg";
    seen.inode = static_cast<std::uint64_t>(i) + 1;
    seen.stamp = {4'000'000 + i, std::int64_t{1'600'000'000'000'000'000} + i};
    seen.format = MediaFormat::kJpeg;
    seen.kind = MediaKind::kPhoto;
    return seen;
  }

  Metadata metadata(int i) {
    Metadata m;
    m.format = MediaFormat::kJpeg;
    m.width = 4032;
    m.height = 3024;
    const std::time_t seconds = 946'684'800 + static_cast<std::time_t>(i) * 7919 % 757'000'000;
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char local[32];
    std::strftime(local, sizeof local, "%Y-%m-%dT%H:%M:%S", &parts);
    m.taken = CaptureTime{local, {}};
    m.make = kMakes[i % 5][0];
    m.model = kMakes[i % 5][1];
    m.lens = "EF 24-70mm f/2.8";
    m.keywords = {"common", word(), word(), word()};
    m.title = word() + " " + word();
    m.description = word() + " " + word() + " " + word() + " " + word() + " common";
    if (i % 10 == 0) m.keywords.emplace_back(kUnspaced[i / 10 % 4]);
    if (i % 3 == 0) m.gps = Gps{35 + uniform_(random_) * 20, uniform_(random_) * 20, {}};
    if (i % 4 == 0) m.rating = i / 4 % 6;
    return m;
  }

  // Persons, one to six, on two photos of five; a car or two on every fifth; a few taxis, men, dogs.
  static std::vector<store::FoundObjects> objects(int i) {
    std::vector<store::FoundObjects> found;
    if (i % 5 < 2) found.push_back({"person", 1 + i / 5 % 6, 0.9});
    if (i % 5 == 4) found.push_back({"car", 1 + i / 5 % 2, 0.8});
    if (i % 50 == 7) found.push_back({"taxi", 1, 0.6});
    if (i % 10 == 3) found.push_back({"man", 1 + i / 10 % 3, 0.7});
    if (i % 20 == 8) found.push_back({"dog", 1, 0.5});
    return found;
  }

  // What is written in a photo with text: three lines of two words, each of two to three of sixteen syllables.
  static std::vector<std::string> signs(int i) {
    static constexpr const char* kSyllables[] = {"mer", "gen", "cy", "ha",  "bo", "ur",  "tic", "ket",
                                                 "pla", "for", "mu", "seu", "li", "bra", "ry",  "ex"};
    std::vector<std::string> lines(3);
    std::uint32_t state = static_cast<std::uint32_t>(i) * 2654435761U + 1;
    for (std::string& line : lines)
      for (int part = 0; part < 5; ++part) {
        state = state * 1664525U + 1013904223U;
        line += kSyllables[state >> 28];
        if (part == 2) line += " ";
      }
    return lines;
  }

  static store::Place place(int i) { return {kPlaces[i % 4][0], kPlaces[i % 4][1], kPlaces[i % 4][2], ""}; }

 private:
  // Word k of the vocabulary comes about as often as 1/k.
  std::string word() {
    const auto k = static_cast<int>(std::pow(double{kVocabulary}, uniform_(random_)));
    return "word" + std::to_string(k);
  }
  std::mt19937 random_{42};
  std::uniform_real_distribution<double> uniform_{0, 1};
};

}  // namespace image_engine::bench
