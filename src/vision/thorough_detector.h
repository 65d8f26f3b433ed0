// Finds as much as a detector can: in the whole picture, once more at a small size, and in overlapping parts.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/result.h"
#include "types/image.h"
#include "vision/objects.h"

namespace image_engine::vision {

class ThoroughDetector {
 public:
  // `coarse`: the same model with a smaller input, for what fills the picture; its labels are those of `fine`.
  // `most_reduced`: how many pixels of a part become one of the detector's input, at most, where 64 parts are enough.
  ThoroughDetector(ObjectDetector fine, std::optional<ObjectDetector> coarse, double most_reduced)
      : fine_(std::move(fine)), coarse_(std::move(coarse)), most_reduced_(most_reduced) {}

  // In pixels of `picture`, best first; of those that overlap by more than half, the best. `go_on` is asked before each
  // run; once false: kInterrupted. Errors as of ObjectDetector::detect(). Thread-safe.
  [[nodiscard]] Result<std::vector<DetectedObject>> detect(const ImageView& picture,
                                                           const std::function<bool()>& go_on = {}) const;

  [[nodiscard]] const std::string& label(std::uint32_t index) const { return fine_.label(index); }

 private:
  ObjectDetector fine_;
  std::optional<ObjectDetector> coarse_;
  double most_reduced_;
};

}  // namespace image_engine::vision
