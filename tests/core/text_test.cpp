#include "core/text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <utility>

#include "core/json.h"

namespace image_engine {
namespace {

using namespace std::string_view_literals;

TEST(Text, Utf8FollowsTheStandard) {
  EXPECT_TRUE(is_utf8("plain, ä, 海, 😀"));
  // Unicode 15, table 3-7: overlong forms, surrogates, beyond U+10FFFF, a lone continuation, a cut sequence.
  for (const char* bad : {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80", "\xE6\xB5", "\xFF"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(Text, BadBytesBecomeReplacementCharacters) {
  EXPECT_EQ(to_utf8("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(to_utf8("\xE6\xB5"
                    "x"),
            "\xEF\xBF\xBD\xEF\xBF\xBDx");
  EXPECT_EQ(to_utf8("ok ä"), "ok ä");
}

TEST(Text, IsCutBetweenCharacters) {
  constexpr std::string_view kText = "aé€😀b";  // of 1, 2, 3, 4 and 1 bytes
  EXPECT_EQ(character_count(kText), 5U);
  const std::vector<std::string_view> by_bytes = {"",    "a",   "a",   "aé",    "aé",  "aé", "aé€",
                                                  "aé€", "aé€", "aé€", "aé€😀", kText, kText};
  for (size_t most = 0; most < by_bytes.size(); ++most) EXPECT_EQ(utf8_beginning(kText, most), by_bytes[most]) << most;
  const std::vector<std::string_view> by_characters = {"", "a", "aé", "aé€", "aé€😀", kText, kText};
  for (size_t most = 0; most < by_characters.size(); ++most)
    EXPECT_EQ(first_characters(kText, most), by_characters[most]) << most;
  EXPECT_EQ(utf8_beginning("\x80\x80", 1), "");
  EXPECT_EQ(character_count(""), 0U);
}

TEST(Text, CharactersAreTakenAndAppended) {
  constexpr std::u32string_view kCharacters = U"\0a\x7F\x80\u07FF\u0800\uFFFD\uFFFF\U00010000\U0010FFFF"sv;
  std::string text;
  for (const char32_t character : kCharacters) append_utf8(text, character);
  EXPECT_EQ(text,
            std::string_view(
                "\0a\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBD\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 24));
  std::string_view rest = text;
  for (const char32_t character : kCharacters) EXPECT_EQ(take_character(rest), character);
  EXPECT_TRUE(rest.empty());
  rest = "\xFFz";
  EXPECT_EQ(take_character(rest), U'\uFFFD');
  EXPECT_EQ(rest, "z");
}

TEST(Text, AddressesAreShownWithoutPasswords) {
  EXPECT_EQ(without_passwords("https://me:secret@host/v1"), "https://***@host/v1");
  EXPECT_EQ(without_passwords("a http://token@host:1/x@y, ftp://u:p@ss@h"), "a http://***@host:1/x@y, ftp://***@h");
  EXPECT_EQ(without_passwords("https://host/a@b?c=d@e me@host"), "https://host/a@b?c=d@e me@host");
  EXPECT_EQ(without_passwords(""), "");
}

TEST(Text, PrintableHidesWhatATerminalWouldObey) {
  EXPECT_EQ(printable("a\nb\t\x1b[31mred\x7f"), "a\\nb\\t\\x1b[31mred\\x7f");
  EXPECT_EQ(printable("\xC2\x9B"
                      "1m"),
            "\\u009b1m");  // the one-character CSI
  EXPECT_EQ(printable("日本, ä 🏖"), "日本, ä 🏖");
}

// What turns, joins or hides text, so that a name would read as another.
TEST(Text, PrintableShowsWhatIsNotSeen) {
  EXPECT_EQ(printable("photo\u202Egpj.exe"), "photo\\u202egpj.exe");
  for (const char* unseen : {"\u00AD", "\u061C", "\u180E", "\u200B", "\u200D", "\u200F", "\u2028", "\u2029", "\u202A",
                             "\u2060", "\u2066", "\u2069", "\uFEFF", "\uFFF9", "\U000E0001", "\U000E0041"}) {
    const std::string shown = printable(std::string("a") + unseen + "b");
    EXPECT_TRUE(shown.starts_with("a\\") && shown.ends_with("b")) << shown;
    EXPECT_EQ(printable(shown), shown);
  }
  EXPECT_EQ(printable("\U000E0041"), "\\U000e0041");
  EXPECT_EQ(printable("\u2010\u2027\u2070\u00AC\u00AE"), "\u2010\u2027\u2070\u00AC\u00AE");  // neighbours of those
}

TEST(Json, IsBoundedInDepth) {
  const auto nested = [](std::size_t levels, char open, char close) {
    std::string text;
    for (std::size_t i = 0; i < levels; ++i) text += open == '{' ? "{\"a\":" : "[";
    return text + "1" + std::string(levels, close);
  };
  for (const auto& [open, close] : {std::pair('[', ']'), std::pair('{', '}')}) {
    EXPECT_FALSE(parse_json(nested(kMostJsonLevels, open, close)).is_discarded());
    EXPECT_TRUE(parse_json(nested(kMostJsonLevels + 1, open, close)).is_discarded());
    EXPECT_TRUE(parse_json(nested(1'000'000, open, close)).is_discarded());
  }
  // Brackets in a string are none, and neither are they after a quote that is escaped.
  EXPECT_EQ(parse_json("[\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\"]").size(), 1U);
  std::string wide = "[[]";
  for (int i = 0; i < 1000; ++i) wide += ",[]";
  EXPECT_EQ(parse_json(wide + "]").size(), 1001U);
}

TEST(Text, Base64IsThatOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(base64_encode(plain), coded);
    EXPECT_EQ(base64_decode(coded).value(), plain);
  }
  EXPECT_EQ(base64_decode("Zm9v!").error().code, ErrorCode::kInvalidArgument);
}

TEST(Text, Base64TakesAnyBytesBack) {
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    std::string bytes(random() % 40, ' ');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_EQ(base64_decode(base64_encode(bytes)).value(), bytes);
  }
}

TEST(Text, NearestNameIsWhatWasMeant) {
  const std::string_view names[] = {"analyze", "search", "status"};
  EXPECT_EQ(nearest_name("analyse", names), "analyze");
  EXPECT_EQ(nearest_name("serach", names), "search");
  EXPECT_EQ(nearest_name("xylophone", names), "");
}

TEST(Text, HumanFigures) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1500), "1.5 KB");
  EXPECT_EQ(human_bytes(999'999), "1.0 MB");
  EXPECT_EQ(human_bytes(312'000'000), "312 MB");
  EXPECT_EQ(human_duration(0.125), "125 ms");
  EXPECT_EQ(human_duration(59.97), "1 min 00 s");
  EXPECT_EQ(human_duration(3720), "1 h 02 min");
  EXPECT_EQ(human_count(5372), "5,372");
  EXPECT_EQ(human_count(1234567), "1,234,567");
  EXPECT_EQ(human_count(999), "999");
}

TEST(Text, CountsAgreeWithTheirNouns) {
  EXPECT_EQ(human_count(0, "file"), "0 files");
  EXPECT_EQ(human_count(1, "file"), "1 file");
  EXPECT_EQ(human_count(5372, "file"), "5,372 files");
  EXPECT_EQ(human_count(1, "try", "tries"), "1 try");
  EXPECT_EQ(human_count(2, "try", "tries"), "2 tries");
}

}  // namespace
}  // namespace image_engine
