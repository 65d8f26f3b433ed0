// Output to stdout, for people and programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/app.h"

namespace image_engine::cli {

// One JSON document, indented, with "schema": "image-engine/<command>/1" first.
void print_json(std::string_view command, const nlohmann::json& document);
// Writes the same document to a file, atomically.
Status write_json(std::string_view command, const nlohmann::json& document, const std::string& path);
// What write_json() refuses, before there is a document: kInvalidArgument for a file that is there and was not written
// by this program, such as a person's video.
Status check_json_target(const std::string& path);
// Prints a line of text in printable() form, except for the codes of styled().
void print_line(std::string_view text);
// Prints lines of a file as they are. Only for text without control characters other than \n.
void print_text(std::string_view text);
// Rounds to `digits` decimal places.
double rounded(double value, int digits);

enum class Style { kBold, kDim, kGreen, kYellow, kRed };
// The text in that style if stdout supports colours.
std::string styled(const Context& context, Style style, std::string_view text);

// Left-aligned columns two spaces apart; widths count characters, not bytes. Columns named in `right` are
// right-aligned. Cells are printed as by print_line().
void print_table(std::vector<std::vector<std::string>> rows, const std::vector<size_t>& right = {});

// Prints a path followed by NUL, for `xargs -0`.
void print_path0(const std::string& path);

}  // namespace image_engine::cli
