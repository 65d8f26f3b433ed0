#include "cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"

namespace image_engine::cli {
namespace {

size_t characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::string text_of(std::string_view command, const nlohmann::json& document) {
  nlohmann::ordered_json ordered = {{"schema", fmt::format("image-engine/{}/1", command)}};
  for (const auto& [key, value] : document.items()) ordered[key] = value;
  return json_text(ordered, 2);
}

}  // namespace

void print_json(std::string_view command, const nlohmann::json& document) { print_line(text_of(command, document)); }

Status write_json(std::string_view command, const nlohmann::json& document, const std::string& path) {
  return write_file_atomically(absolute_path(path), text_of(command, document) + "\n");
}

double rounded(double value, int digits) {
  const double power = std::pow(10, digits);
  return std::round(value * power) / power;
}

void print_line(std::string_view text) {
  print(text);
  print("\n");
}

std::string styled(const Context& context, Style style, std::string_view text) {
  if (!context.colour) return std::string(text);
  constexpr const char* kCodes[] = {"1", "2", "32", "33", "31"};
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<size_t>(style)], text);
}

void print_table(const std::vector<std::vector<std::string>>& rows, const std::vector<size_t>& right) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], characters(row[i]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - characters(row[i]), ' ');
      const bool to_right = std::find(right.begin(), right.end(), i) != right.end();
      line += to_right ? gap + row[i] : row[i] + gap;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    print_line(line);
  }
}

void print_path0(const std::string& path) {
  print(path);
  print(std::string_view("\0", 1));
}

}  // namespace image_engine::cli
