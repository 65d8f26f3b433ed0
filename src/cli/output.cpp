#include "cli/output.h"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/json.h"
#include "core/text.h"

namespace image_engine::cli {
namespace {

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

constexpr std::string_view kStyleCodes[] = {"\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m"};
constexpr std::string_view kStyleEnd = "\x1b[0m";
std::atomic<bool> styles_used = false;

// The length of the code of styled() that `text` begins with; 0 without one.
size_t style_length(std::string_view text) {
  if (!styles_used) return 0;
  if (text.starts_with(kStyleEnd)) return kStyleEnd.size();
  const auto* const found =
      std::ranges::find_if(kStyleCodes, [&](std::string_view code) { return text.starts_with(code); });
  return found == std::end(kStyleCodes) ? 0 : found->size();
}

// Only the codes of styled() reach the terminal as control characters.
std::string terminal_text(std::string_view text) {
  std::string safe;
  while (!text.empty()) {
    const size_t style = style_length(text);
    const size_t length = style > 0 ? style : std::min(text.find('\x1b', 1), text.size());
    style > 0 ? safe += text.substr(0, length) : safe += printable(text.substr(0, length));
    text.remove_prefix(length);
  }
  return safe;
}

std::string text_of(std::string_view command, const nlohmann::json& document) {
  nlohmann::ordered_json ordered = {{"schema", fmt::format("image-engine/{}/1", command)}};
  for (const auto& [key, value] : document.items()) ordered[key] = value;
  return json_text(ordered, 2);
}

}  // namespace

void print_json(std::string_view command, const nlohmann::json& document) { print(text_of(command, document) + "\n"); }

Status check_json_target(const std::string& path) {
  const std::string target = absolute_path(path);
  const Result<UniqueFd> existing = open_regular(target);
  if (!existing) return {};  // none, or writing will tell
  std::array<char, 256> head{};
  const ssize_t count = ::pread(existing->get(), head.data(), head.size(), 0);
  const std::string_view text(head.data(), static_cast<size_t>(std::max<ssize_t>(count, 0)));
  if (text.empty() || text.find("image-engine/") != std::string_view::npos) return {};
  return fail(ErrorCode::kInvalidArgument,
              printable(target) + " exists and is no output of image-engine: name another file, or remove it");
}

Status write_json(std::string_view command, const nlohmann::json& document, const std::string& path) {
  IE_CHECK(check_json_target(path));
  return write_file_atomically(absolute_path(path), text_of(command, document) + "\n");
}

double rounded(double value, int digits) {
  const double power = std::pow(10, digits);
  return std::round(value * power) / power;
}

void print_line(std::string_view text) { print(terminal_text(text) + "\n"); }

std::string styled(const Context& context, Style style, std::string_view text) {
  if (!context.colour) return std::string(text);
  styles_used = true;
  return fmt::format("{}{}{}", kStyleCodes[static_cast<size_t>(style)], printable(text), kStyleEnd);
}

void print_table(std::vector<std::vector<std::string>> rows, const std::vector<size_t>& right) {
  for (auto& row : rows)
    for (std::string& cell : row) cell = terminal_text(cell);
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], character_count(row[i]));
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - character_count(row[i]), ' ');
      const bool to_right = std::find(right.begin(), right.end(), i) != right.end();
      line += to_right ? gap + row[i] : row[i] + gap;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    print_line(line);
  }
}

void print_text(std::string_view text) { print(text); }

void print_path0(const std::string& path) {
  print(path);
  print(std::string_view("\0", 1));
}

}  // namespace image_engine::cli
