// Words that people join in names of files.
#pragma once

#include <string>
#include <string_view>

namespace image_engine::store {

// Parts of the words of a path that are more than the words, each once, separated by blanks: those at changes of case
// and between letters and digits ("SummerHoliday2019": Summer, Holiday, 2019), and numbers without the zeros before
// them
// ("DSC01273": DSC, 01273, 1273). Parts of one character do not count, nor the extension. Empty for most paths.
std::string name_parts(std::string_view path);

}  // namespace image_engine::store
