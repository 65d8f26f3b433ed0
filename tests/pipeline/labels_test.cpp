#include "pipeline/labels.h"

#include "tests/support/catalogue.h"
#include "types/half.h"
#include "vision/embedder.h"

namespace image_engine::pipeline {
namespace {

class LabelsTest : public store::WrittenTest {
 protected:
  // A photo with one person in it, whose vector is a direction of its own.
  void add(const std::string& path, std::size_t direction) {
    const auto file = *writer_->upsert_file(seen(path), run_);
    const store::AssetId asset = writer_->set_content(file.id, hash128("file " + path), hash128(path))->asset;
    std::vector<float> vector(8);
    vector[direction] = 1;
    const auto half = to_half(vector);
    const auto space = writer_->open_space({"embedding", "clip", "1", ""}, vector.size());
    ASSERT_OK(space);
    ASSERT_OK(writer_->put_vector(asset, space->id, half));
    ASSERT_OK(writer_->set_object_vectors(space->id, asset, "person", {{asset, "person", {1, 2, 3, 4}, half}}));
  }

  Result<LabelReport> teach(const std::string& name, const std::string& path,
                            const std::optional<std::string>& object) {
    LabelRequest request;
    request.catalogue = path_;
    request.name = name;
    request.add = {path};
    request.object = object;
    request.models.shipped = IE_SOURCE_DIR "/config/models.yaml";
    request.models.added = request.models.root = folder_ + "/models";
    IE_TRY(store::WriterLock lock, store::WriterLock::acquire(path_, "label"));
    return teach_label(request, std::move(lock));
  }
};

TEST_F(LabelsTest, ALabelInOtherLettersIsTheSame) {
  for (std::size_t i = 0; i < 8; ++i) add("/p/" + std::to_string(i) + ".jpg", i);
  writer_.reset();
  const auto first = teach("My Striker", "/p/1.jpg", "person");
  ASSERT_OK(first);
  EXPECT_EQ(first->label.object, "person");
  const auto again = teach("my striker", "/p/2.jpg", std::nullopt);
  ASSERT_OK(again);
  EXPECT_EQ(again->label.name, "My Striker");
  EXPECT_EQ(again->label.object, "person") << "it still looks at people";
  EXPECT_EQ(again->label.positive, 2);
}

}  // namespace
}  // namespace image_engine::pipeline
