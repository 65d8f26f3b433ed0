// Files that scripts made for tests, in the build tree, where tests run, and those that a test wrote.
#pragma once

#include <cstdint>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "types/image.h"

namespace image_engine {

// All of a file; empty where it cannot be read.
inline std::string bytes_of(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// The same of a file of samples and nothing else.
inline std::vector<std::uint8_t> samples_of(const std::string& file) {
  const std::string bytes = bytes_of(file);
  return {bytes.begin(), bytes.end()};
}

// Null where there is no such file.
inline nlohmann::json json_of(const std::string& file) {
  std::ifstream stream(file);
  return stream ? nlohmann::json::parse(stream) : nlohmann::json();
}

// A PPM of 8 bits, or a PGM, which becomes grey RGB; empty on any fault.
inline Image picture_of(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string magic;
  int most = 0;
  Image image;
  stream >> magic >> image.width >> image.height >> most;
  stream.get();
  if (!stream || most != 255 || (magic != "P6" && magic != "P5")) return {};
  std::vector<std::uint8_t> samples(image.height * (magic == "P6" ? image.row_bytes() : image.width));
  stream.read(reinterpret_cast<char*>(samples.data()), static_cast<std::streamsize>(samples.size()));
  if (!stream) return {};
  if (magic == "P6") {
    image.pixels = std::move(samples);
    return image;
  }
  image.pixels.reserve(samples.size() * 3);
  for (const std::uint8_t sample : samples) image.pixels.insert(image.pixels.end(), 3, sample);
  return image;
}

}  // namespace image_engine
