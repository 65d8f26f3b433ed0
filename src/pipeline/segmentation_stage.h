// The stage that keeps masks of what is in a photo: its subjects, people, and the classes that a model knows.
#pragma once

#include <memory>
#include <string>

#include "pipeline/installed_models.h"
#include "pipeline/stages.h"

namespace image_engine::pipeline {

// Of a record, so that the catalogue stays small: at most so many masks, the largest ones, each at its model's size, or
// at half, a quarter, … of that once its run lengths take no more than so many bytes. 128 KiB for a photo at most.
inline constexpr std::size_t kMostMasks = 32, kMostMaskBytes = 4096;

// Runs all models that are installed for the task segmentation: of those that find one thing the one with the highest
// preference for each label, and of those with classes likewise one. Models that are gated by people run where the
// detector sees one, and only with a detector. One record has the masks of all:
//   {"masks": [{"class", "confidence", "share", "bbox", "model", "segmentation": {"size": [h, w], "counts"}}]}
// `class` of a subject is the detector's name for it where that is known, else "subject"; `confidence` the mean alpha
// of the mask's places, of a class the mean of how sure the model is; `share` of the picture's area; `segmentation` is
// COCO's. Facts: the share of each name, the greatest that one model found; "subject" for all subjects and people
// together; and the look of the largest of these (vision/subject_look.h).
// kNotFound: no model can run, with the command that installs one. The stage keeps `models`.
Result<PictureStage> segmentation_stage(const std::shared_ptr<const InstalledModels>& models);

}  // namespace image_engine::pipeline
