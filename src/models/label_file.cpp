#include "models/label_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/file.h"
#include "core/text.h"

namespace image_engine::models {
namespace {

constexpr size_t kLargestLabelFile = size_t{1} << 20;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Cuts the first line off, without its end.
std::string_view take_line(std::string_view& rest) {
  std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// The cells of a line of CSV (RFC 4180, without line breaks in cells). None: a quotation mark is not closed.
std::optional<std::vector<std::string>> csv_cells(std::string_view line) {
  std::vector<std::string> cells(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool is_quote = line[i] == '"';
    if (is_quote && quoted && line.substr(i + 1).starts_with('"'))
      cells.back() += line[i++];
    else if (is_quote && (quoted || cells.back().empty()))
      quoted = !quoted;
    else if (line[i] == ',' && !quoted)
      cells.emplace_back();
    else
      cells.back() += line[i];
  }
  return quoted ? std::nullopt : std::optional(std::move(cells));
}

tl::unexpected<Error> wrong_labels(std::string what) { return fail(ErrorCode::kInvalidArgument, std::move(what)); }

Result<std::vector<std::string>> labels_of_csv(std::string_view text) {
  const auto header = csv_cells(take_line(text)).value_or(std::vector<std::string>{});
  const auto column = [&](std::string_view name) { return std::ranges::find(header, name) - header.begin(); };
  const auto index = static_cast<std::size_t>(column("index")), name = static_cast<std::size_t>(column("display_name"));
  if (std::max(index, name) >= header.size())
    return wrong_labels(
        "lacks the columns index and display_name in its first line; write one label a line in a .txt file");
  std::vector<std::string> labels;
  while (!text.empty()) {
    const auto cells = csv_cells(take_line(text));
    if (!cells || cells->size() != header.size() || (*cells)[index] != std::to_string(labels.size()) ||
        (*cells)[name].empty())
      return wrong_labels(fmt::format("has in line {} no label with the index {}", labels.size() + 2, labels.size()));
    labels.push_back((*cells)[name]);
  }
  return labels;
}

Result<std::vector<std::string>> labels_of_lines(std::string_view text) {
  std::vector<std::string> labels;
  while (!text.empty()) {
    const std::string_view line = take_line(text);
    if (line.empty()) return wrong_labels(fmt::format("has an empty line {}", labels.size() + 1));
    labels.emplace_back(line);
  }
  return labels;
}

}  // namespace

Result<std::vector<std::string>> read_label_file(const std::string& path) {
  const Result<std::string> read = read_file(path, kLargestLabelFile);
  if (!read) return wrong_labels("cannot be read: " + read.error().message);
  if (!is_utf8(*read)) return wrong_labels("is not UTF-8");
  std::string_view text = *read;
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return lower_extension(path) == ".csv" ? labels_of_csv(text) : labels_of_lines(text);
}

}  // namespace image_engine::models
