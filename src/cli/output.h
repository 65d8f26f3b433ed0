// What a person or a program sees on stdout.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/app.h"

namespace image_engine::cli {

// One JSON document, indented, with "schema": "image-engine/<command>/1" first.
void print_json(std::string_view command, const nlohmann::json& document);
// The same document into a file, written beside and renamed.
Status write_json(std::string_view command, const nlohmann::json& document, const std::string& path);
// A line of text: what is in it is written as printable() makes it, but for the codes of styled().
void print_line(std::string_view text);
// To so many decimal places.
double rounded(double value, int digits);

enum class Style { kBold, kDim, kGreen, kYellow, kRed };
// The text in that style where stdout takes colours.
std::string styled(const Context& context, Style style, std::string_view text);

// Left-aligned columns two spaces apart; widths count characters, not bytes. Columns named in `right` are
// right-aligned. Cells are written as by print_line().
void print_table(std::vector<std::vector<std::string>> rows, const std::vector<size_t>& right = {});

// Paths that end in NUL, for `xargs -0`.
void print_path0(const std::string& path);

}  // namespace image_engine::cli
