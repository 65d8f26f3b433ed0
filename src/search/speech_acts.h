// What people do by saying something: a query names the act ("they toast"), but nobody who does it says its name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace image_engine::search {

// Sentences that are said in the acts that an English query names, in the order of the table; empty for most queries.
// Words are compared whole, ignoring ASCII case.
std::vector<std::string> typical_of_acts(std::string_view query);

}  // namespace image_engine::search
