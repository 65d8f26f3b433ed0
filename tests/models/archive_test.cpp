#include "models/archive.h"

#include <gtest/gtest.h>

#include "tests/support/ok.h"
#include "tests/support/zip.h"

namespace image_engine::models {
namespace {

constexpr std::uint64_t kMost = 1 << 20;

TEST(ReadMembers, InTheirOrderWhateverTheirNames) {
  const auto members = read_members(zip_of({{"b.json", "{}"}, {"../../etc/x", "out"}, {"empty", ""}}), kMost, 64);
  ASSERT_OK(members);
  ASSERT_EQ(members->size(), 3U);
  EXPECT_EQ(members->at(0).name, "b.json");
  EXPECT_EQ(members->at(0).bytes, "{}");
  EXPECT_EQ(members->at(1).name, "../../etc/x");
  EXPECT_EQ(members->at(1).bytes, "out");
  EXPECT_EQ(members->at(2).bytes, "");
}

TEST(ReadMembers, AreBounded) {
  const std::string zip = zip_of({{"a", std::string(600, 'a')}, {"b", std::string(600, 'b')}});
  EXPECT_TRUE(read_members(zip, 1200, 2));
  EXPECT_EQ(read_members(zip, 1199, 2).error().code, ErrorCode::kTooLarge);
  EXPECT_EQ(read_members(zip, 1200, 1).error().code, ErrorCode::kTooLarge);
}

TEST(ReadMembers, OfWhatIsNoZip) {
  for (const std::string& bytes : {std::string("no zip"), std::string(), std::string("PK\x03\x04")})
    EXPECT_EQ(read_members(bytes, kMost, 64).error().code, ErrorCode::kCorrupt);
  std::string cut = zip_of({{"a", std::string(600, 'a')}});
  cut.resize(300);
  EXPECT_EQ(read_members(cut, kMost, 64).error().code, ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace image_engine::models
