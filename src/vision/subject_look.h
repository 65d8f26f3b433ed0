// How a subject looks, whatever is behind it: to find it before another background.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "types/image.h"
#include "vision/colour_signature.h"
#include "vision/masks.h"

namespace image_engine::vision {

// Of the subject alone, in a window that its mask's centre and standard deviations place: so it depends neither on the
// background nor on where and how large the subject is.
struct SubjectLook {
  static constexpr std::size_t kEdge = 16;  // of the shape, places
  std::uint64_t phash = 0;  // as in hashes.h, of the window at 32 × 32 pixels, all but the subject in its mean colour
  ColourSignature colours;  // of the same pixels
  std::array<std::uint8_t, kEdge * kEdge / 8> shape{};  // the places of the window that are the subject, row by row
  std::uint8_t aspect = 0;                              // width by height of the window: 128 + 32 · log2
  bool operator==(const SubjectLook&) const = default;
};

// `mask` covers the whole upright `picture`, at any size; what is inside is the subject. nullopt where nothing can be
// told: fewer than 256 pixels of the picture, or hardly any contrast within the subject. Thread-safe, as is all below.
std::optional<SubjectLook> subject_look(const ImageView& picture, const Mask& mask);

// Bits of the hash by which two looks of one subject differ at most (docs/duplicates.md has the figures).
inline constexpr int kSameSubjectDistance = 10;
// Whether both may be looks of one subject, the hashes aside: shape, proportions and colours. Symmetric.
bool are_looks_of_one(const SubjectLook& a, const SubjectLook& b);

// 73 bytes, the hash first, the most significant byte first.
std::string to_bytes(const SubjectLook& look);
// nullopt unless it has as many bytes.
std::optional<SubjectLook> look_of_bytes(std::string_view bytes);

}  // namespace image_engine::vision
