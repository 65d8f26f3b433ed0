// Names as cameras, phones and messengers give them; what each states is read by eye.
#include "scan/name_time.h"

#include <gtest/gtest.h>

namespace image_engine::scan {
namespace {

constexpr std::int64_t kNow = 1'735'689'600;  // 2025-01-01

// What is known of the time in a name; "" without one.
std::string in_name(std::string_view name) {
  const auto time = time_in_name(name, kNow);
  if (!time) return "";
  EXPECT_EQ(time->source, TimeSource::kName);
  return time->known_iso();
}

TEST(NameTime, OfPhonesAndCameras) {
  EXPECT_EQ(in_name("20190422_131541.jpg"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("IMG_20190422_131541.jpg"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("VID_20190422_131541.mp4"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("MVIMG_20190422_131541.jpg"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("IMG20190422131541.jpg"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("IMG_20190422_131541_HDR.jpg"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("00001IMG_00001_BURST20190422131541123_COVER.jpg"), "2019-04-22T13:15:41.123");
  EXPECT_EQ(in_name("WIN_20190422_13_15_41_Pro.jpg"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("2019-04-22 13.15.41.jpg"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("20190422_131541"), "2019-04-22T13:15:41") << "without an extension";
}

TEST(NameTime, OfPixelPhonesAndOneDriveIsUtc) {
  EXPECT_EQ(in_name("PXL_20190422_131541123.MP.jpg"), "2019-04-22T13:15:41.123Z");
  EXPECT_EQ(in_name("PXL_20190422_131541.jpg"), "2019-04-22T13:15:41Z");
  EXPECT_EQ(in_name("20190422_131541000_iOS.jpg"), "2019-04-22T13:15:41.000Z");
}

TEST(NameTime, OfScreenshots) {
  EXPECT_EQ(in_name("Screenshot 2019-04-22 at 13.15.41.png"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("Screenshot 2019-04-22 at 13.15.41"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("Screen Shot 2019-04-22 at 1.15.41 PM.png"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("Screen Shot 2019-04-22 at 12.15.41\u202F"
                    "AM.png"),
            "2019-04-22T00:15:41");
  EXPECT_EQ(in_name("Bildschirmfoto 2019-04-22 um 13.15.41.png"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("Capture d’écran 2019-04-22 à 13.15.41.png"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("Screenshot from 2019-04-22 13-15-41.png"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("Screenshot_20190422-131541.png"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("Screenshot_20190422-131541_Maps.jpg"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("Screenshot_2019-04-22-13-15-41-123_com.maps.jpg"), "2019-04-22T13:15:41");
}

TEST(NameTime, OfMessengers) {
  EXPECT_EQ(in_name("IMG-20190422-WA0004.jpg"), "2019-04-22");
  EXPECT_EQ(in_name("VID-20190422-WA0004.mp4"), "2019-04-22");
  EXPECT_EQ(in_name("WhatsApp Image 2019-04-22 at 13.15.41.jpeg"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("signal-2019-04-22-131541.jpg"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("signal-2019-04-22-13-15-41-123.jpg"), "2019-04-22T13:15:41");
  EXPECT_EQ(in_name("photo_2019-04-22_13-15-41.jpg"), "2019-04-22T13:15:41");
  // Python: datetime.utcfromtimestamp(1555938941.5).
  EXPECT_EQ(in_name("FB_IMG_1555938941500.jpg"), "2019-04-22T13:15:41.500Z");
  EXPECT_EQ(in_name("1555938941000.jpg"), "2019-04-22T13:15:41Z");
}

TEST(NameTime, OfPeople) {
  EXPECT_EQ(in_name("2019-04-22.jpg"), "2019-04-22");
  EXPECT_EQ(in_name("Anna 1953-07-04.jpg"), "1953-07-04");
  EXPECT_EQ(in_name("20190422 Easter.jpg"), "2019-04-22");
  EXPECT_EQ(in_name("2019-04-22 IMG_20190423_131541.jpg"), "2019-04-23T13:15:41") << "the most exact one";
}

TEST(NameTime, ThatNoClockHasIsADay) {
  EXPECT_EQ(in_name("IMG_20190422_251541.jpg"), "2019-04-22");
  EXPECT_EQ(in_name("2019-04-22 at 13.75.41.jpg"), "2019-04-22");
}

TEST(NameTime, NumbersThatCountAreNone) {
  for (const char* name : {"IMG_1234.jpg",
                           "DSC01234.JPG",
                           "IMG_20191322_131541.jpg",
                           "IMG_20190431_131541.jpg",
                           "DSC_20190422.jpg",
                           "stock-photo-20190422.jpg",
                           "scan 18630412.jpg",
                           "120190422_131541.jpg",
                           "201904221.jpg",
                           "2019.jpg",
                           "2019-04.jpg",
                           "2019-4-2.jpg",
                           "received_10157123456789012.jpeg",
                           "4006381333931.jpg",
                           "1000000000000.jpg",
                           "0123456789012.jpg",
                           "IMG_20251224_131541.jpg",
                           "1935689600000.jpg",
                           "",
                           ".jpg",
                           "12.34"})
    EXPECT_EQ(in_name(name), "") << name;
}

}  // namespace
}  // namespace image_engine::scan
