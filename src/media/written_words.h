// What people have written into a picture's tags in words: keywords and their hierarchies, who is on it, where it was
// taken.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "types/metadata.h"

namespace image_engine::media {

// Clean texts by exiv2's keys, in the order in which they are written; a list has one for each of its items.
using TagTexts = std::multimap<std::string, std::string, std::less<>>;

// Whether a tag of this key is read here.
bool is_word_tag(std::string_view key);

// Keywords without repetitions, at most 1,000: plain ones as written, then hierarchies, each as a path of its levels
// such as "Country|Bavaria|Wasserburg".
void add_keywords(const TagTexts& texts, std::vector<std::string>& keywords);

// Names of persons without repetitions: of face regions and of lists.
void add_people(const TagTexts& texts, std::vector<std::string>& people);

// By the first source of these that names a city, a region, a country or a spot: where the camera was, IPTC's and
// Photoshop's fields, the place that is shown.
std::optional<Place> written_place(const TagTexts& texts);

// Whether a title or description is what cameras and programs write by themselves: "OLYMPUS DIGITAL CAMERA", a name of
// a file, the camera's own name.
bool is_default_text(std::string_view text, const Metadata& metadata);

}  // namespace image_engine::media
