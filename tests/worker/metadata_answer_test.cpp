// Metadata from a worker that may have been taken over.
#include <gtest/gtest.h>

#include "worker/answer.h"

namespace image_engine::worker {
namespace {

bool is_taken(TimePrecision precision, TimeSource source) {
  Request request;
  request.operations = kReadMetadata;
  Reply reply;
  reply.metadata = Metadata{};
  reply.metadata->format = MediaFormat::kJpeg;
  reply.metadata->taken = CaptureTime{"1953-07-01T00:00:00", {}, precision, source};
  return is_answer_to(request, reply, kMaxReplyBytes);
}

TEST(MetadataAnswer, ItsTimesKindsAreKnownOnes) {
  EXPECT_TRUE(is_taken(TimePrecision::kMonth, TimeSource::kModified));
  EXPECT_FALSE(is_taken(TimePrecision::kMonth, TimeSource::kName)) << "a worker knows no names";
  EXPECT_FALSE(is_taken(static_cast<TimePrecision>(5), TimeSource::kGps));
  EXPECT_FALSE(is_taken(TimePrecision::kYear, static_cast<TimeSource>(255)));
}

}  // namespace
}  // namespace image_engine::worker
