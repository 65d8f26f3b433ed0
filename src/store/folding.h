// How text is compared: after Unicode's NFKC and case folding, without diacritics, and with a few letters of one
// alphabet written by others (docs/search.md, "Letters").
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace image_engine::store {

// What a character is in a text that is cut into words.
enum class Role : std::uint8_t {
  kSeparator,
  kLetter,   // letter, digit, or a mark that counts: a vowel sign of an Indic script
  kJamo,     // a letter that joins those before it to one Korean syllable
  kSymbol,   // an emoji: a word of its own
  kIgnored,  // a diacritic, a joiner, a variation selector
};

// Tables that fill as characters are met. For one thread at a time.
class Folding {
 public:
  struct Character {
    Role role = Role::kSeparator;
    std::uint8_t size = 0;  // bytes of what it becomes
    std::uint32_t at = 0;   // where these are
  };
  // `character` is at most U+10FFFF.
  [[nodiscard]] const Character& of(char32_t character) {
    const std::unique_ptr<Page>& page = pages_[character >> kPageBits];
    return (page ? *page : fill(character >> kPageBits))[character & (kPageSize - 1)];
  }
  // Appends what a character becomes to a word; a jamo joins its last syllable.
  void append(const Character& character, std::string& word) const;

 private:
  static constexpr unsigned kPageBits = 8;
  static constexpr std::size_t kPageSize = std::size_t{1} << kPageBits, kPages = 0x110000 >> kPageBits;
  using Page = std::array<Character, kPageSize>;
  const Page& fill(std::size_t page);
  Character character_of(char32_t character);

  std::array<std::unique_ptr<Page>, kPages> pages_;
  std::string bytes_;
};

// The text with each letter as it is compared, and all else as it is: "Zürich" becomes "zurich".
std::string plain_letters(std::string_view text);
// NFKC with its case folded, in which text of scripts without spaces is compared. `text` must be valid UTF-8.
std::string folded_text(std::string_view text);
// NFC, as keyboards write it.
std::string composed_text(std::string_view text);

}  // namespace image_engine::store
