// How text is cut into words and compared. The right values are from the Unicode Character Database and by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/folding.h"
#include "store/name_parts.h"
#include "store/schema.h"
#include "tests/support/catalogue.h"

namespace image_engine::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class WordsTest : public testing::Test {
 protected:
  std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> found;
    connection_.tokenize(text, [&](std::string_view word, int, int) { found.emplace_back(word); });
    return found;
  }
  // What of the text is each word.
  std::vector<std::string> pieces(std::string_view text) {
    std::vector<std::string> found;
    connection_.tokenize(text, [&](std::string_view, int from, int to) {
      found.emplace_back(text.substr(static_cast<size_t>(from), static_cast<size_t>(to - from)));
    });
    return found;
  }
  Connection connection_{"words", Access::kMemory};
};

TEST_F(WordsTest, WordsAreRunsOfLettersAndDigits) {
  EXPECT_THAT(words("IMG_0042.jpg, it's  A-4!"), ElementsAre("img", "0042", "jpg", "it", "s", "a", "4"));
  EXPECT_THAT(words(""), IsEmpty());
  EXPECT_THAT(words("… — \xE2\x80\x8B &"), IsEmpty());
  EXPECT_THAT(words("\xFF\xFE"
                    "a\xC3"),
              ElementsAre("a"));
}

TEST_F(WordsTest, CaseAndDiacriticsDoNotCount) {
  EXPECT_THAT(words("Été CÔTE Žluťoučký Việt"), ElementsAre("ete", "cote", "zlutoucky", "viet"));
  EXPECT_THAT(words("e\u0301te\u0301"), ElementsAre("ete"));  // as a Mac writes names
  EXPECT_THAT(words("Αθήνα ΟΔΟΣ οδός"), ElementsAre("αθηνα", "οδοσ", "οδοσ"));
  EXPECT_THAT(words("Ёлка елка Йога \u0418\u0306ога"), ElementsAre("елка", "елка", "иога", "иога"));
  EXPECT_THAT(words("שָׁלוֹם مَرْحَبًا"), ElementsAre("שלום", "مرحبا"));
}

TEST_F(WordsTest, LettersOfOneAlphabetArePutByOthers) {
  EXPECT_THAT(words("Straße STRASSE Łódź Løkken Æsir œuvre Đorđe Þór ħ"),
              ElementsAre("strasse", "strasse", "lodz", "lokken", "aesir", "oeuvre", "dorde", "thor", "h"));
  EXPECT_THAT(words("Istanbul İstanbul ısı"), ElementsAre("istanbul", "istanbul", "isi"));
  EXPECT_THAT(words("ＡＢＣ１２ ﬁn ²"), ElementsAre("abc12", "fin", "2"));  // full width, a ligature
}

TEST_F(WordsTest, KoreanSyllablesAreTheSameFromTheirLetters) {
  const std::string apart = "\u1112\u1161\u11AB\u1100\u116E\u11A8";  // 한국 in NFD
  EXPECT_THAT(words("한국"), ElementsAre("한국"));
  EXPECT_THAT(words(apart), ElementsAre("한국"));
  EXPECT_THAT(pieces(apart), ElementsAre(apart));
}

TEST_F(WordsTest, VowelSignsOfIndicScriptsCount) {
  EXPECT_THAT(words("हिन्दी हन्द"), ElementsAre("हिन्दी", "हन्द"));
  EXPECT_THAT(words("தமிழ்"), ElementsAre("தமிழ்"));
  EXPECT_THAT(words("\u0995\u09CB"), ElementsAre("\u0995\u09C7\u09BE"));  // one sign, or its two parts
}

TEST_F(WordsTest, EachEmojiIsAWord) {
  EXPECT_THAT(words("party🎉🎉 x❤️y"), ElementsAre("party", "🎉", "🎉", "x", "❤", "y"));
  EXPECT_THAT(words("👍🏽"), ElementsAre("👍"));  // whatever the skin
  EXPECT_THAT(words("👨‍👩‍👧"), ElementsAre("👨", "👩", "👧"));
  EXPECT_THAT(words("©™"), IsEmpty());
}

TEST_F(WordsTest, PlacesAreThoseOfTheText) {
  EXPECT_THAT(pieces("a Straße, e\u0301te\u0301!"), ElementsAre("a", "Straße", "e\u0301te\u0301"));
}

TEST(Folding, TextOfScriptsWithoutSpaces) {
  EXPECT_EQ(folded_text("か\u3099っこう"), "がっこう");
  EXPECT_EQ(folded_text("ｶﾞｰﾃﾞﾝ ABC"), "ガーデン abc");
  EXPECT_NE(folded_text("が"), folded_text("か"));
  EXPECT_EQ(composed_text("か\u3099"), "が");
  // Quadratic time would be minutes.
  std::string marks = "か";
  for (int i = 0; i < 200'000; ++i) marks += i % 2 == 0 ? "\u0301" : "\u0316";
  EXPECT_FALSE(folded_text(marks).empty());
}

TEST(NameParts, ArePartsOfWords) {
  EXPECT_EQ(name_parts("SummerHoliday2019.jpg"), "Summer Holiday 2019");
  EXPECT_EQ(name_parts("/a/DSC01273.JPG"), "DSC 01273 1273");
  EXPECT_EQ(name_parts("IMG_0042.jpg"), "42");
  EXPECT_EQ(name_parts("IMG-20190422-WA0004.jpg"), "WA 0004");
  EXPECT_EQ(name_parts("OurTrip/HDRPhoto_1.mp4"), "Our Trip HDR Photo");
  EXPECT_EQ(name_parts("beach sunset.jpeg"), "");
  EXPECT_EQ(name_parts("Überfahrt2.d/x"), "Überfahrt");
  EXPECT_EQ(name_parts(""), "");
  EXPECT_EQ(name_parts("0000.jpg"), "");
}

// A catalogue of format 6, whose words SQLite's own tokenizer has cut.
TEST_F(StoreTest, AnEarlierIndexIsMadeAnew) {
  if (!has_sqlite3()) GTEST_SKIP() << "the sqlite3 program is not installed";
  {
    Connection connection(path_, Access::kCreate);
    migrate(connection, migrations().first(6));
    connection.execute("INSERT INTO roots VALUES(CAST('/p' AS BLOB), 1, '', '')");
  }
  sqlite3_says(path_,
               "INSERT INTO assets(id, hash, kind, format) VALUES(1, randomblob(16), 'photo', 'jpeg');"
               "INSERT INTO files(path, device, inode, size, mtime_ns, format, kind, state, asset_id, first_run, "
               "last_run) VALUES(CAST('/p/SummerHoliday2019.jpg' AS BLOB), 1, 1, 1, 1, 'jpeg', 'photo', 'present', 1, "
               "1, 1);"
               "INSERT INTO asset_text(rowid, name, title, keyword) VALUES(1, 'p SummerHoliday2019.jpg', 'Straße', "
               "'ｶﾞｰﾃﾞﾝ');"
               "INSERT INTO asset_trigram(rowid, keyword) VALUES(1, 'ｶﾞｰﾃﾞﾝ')");
  EXPECT_EQ(sqlite3_says(path_, "SELECT count(*) FROM asset_text WHERE asset_text MATCH 'strasse'"), "0");
  ASSERT_OK(open_writer());
  for (const char* word : {"strasse", "Straße", "holiday", "2019", "ガーデン", "ガー"})
    EXPECT_EQ(count_found(word), 1U) << word;
  expect_sound();
  // Other programs can still read it.
  EXPECT_EQ(sqlite3_says(path_, "SELECT title FROM asset_text"), "Straße");
}

// Of a catalogue of format 8, whose text in pictures has whole words only.
TEST_F(StoreTest, TextInPicturesIsFoundInsideWords) {
  if (!has_sqlite3()) GTEST_SKIP() << "the sqlite3 program is not installed";
  {
    Connection connection(path_, Access::kCreate);
    migrate(connection, migrations().first(8));
    connection.execute("INSERT INTO roots VALUES(CAST('/p' AS BLOB), 1, '', '')");
  }
  for (const std::string id : {"1", "2", "3"})
    sqlite3_says(path_, "INSERT INTO assets(id, hash, kind, format) VALUES(" + id +
                            ", randomblob(16), 'photo', 'jpeg');"
                            "INSERT INTO files(path, device, inode, size, mtime_ns, format, kind, state, asset_id, "
                            "first_run, last_run) VALUES(CAST('/p/" +
                            id + ".jpg' AS BLOB), 1, " + id + ", 1, 1, 'jpeg', 'photo', 'present', " + id + ", 1, 1)");
  sqlite3_says(path_,
               "INSERT INTO asset_text(rowid, title, text) VALUES(1, '', 'EMERGENCY EXIT');"
               "INSERT INTO asset_text(rowid, title, text) VALUES(2, '東京', 'merge');"
               "INSERT INTO asset_text(rowid, title, text) VALUES(3, 'emergencies', '');"
               "INSERT INTO asset_trigram(rowid, title) VALUES(2, '東京')");
  ASSERT_OK(open_writer());
  const auto count = [&](TextField field, const std::string& text, bool negated = false) {
    AssetQuery query;
    query.filters = {{TextCondition{field, text, false}, negated}};
    return count_found(query);
  };
  EXPECT_EQ(count(TextField::kText, "merge"), 2U);
  EXPECT_EQ(count(TextField::kText, "MERGENC"), 1U);
  EXPECT_EQ(count(TextField::kText, "cy ex"), 1U);
  EXPECT_EQ(count(TextField::kText, "MERGENC", true), 2U);
  EXPECT_EQ(count(TextField::kText, "me"), 0U) << "too short for the index";
  EXPECT_EQ(count(TextField::kTitle, "mergenc"), 0U) << "other fields have whole words";
  EXPECT_EQ(count(TextField::kTitle, "東"), 1U);
  EXPECT_EQ(count_found("mergenc"), 0U);
  EXPECT_EQ(sqlite3_says(path_, "SELECT text FROM asset_trigram WHERE rowid = 2"), "merge");
  expect_sound();
}

}  // namespace
}  // namespace image_engine::store
