// Checks of the section `sound` of a spec.
#pragma once

#include "core/result.h"
#include "models/spec.h"

namespace image_engine::models {

inline constexpr char kTaggingTask[] = "audio-tagging";
inline constexpr char kProbabilitiesHead[] = "probabilities", kSigmoidHead[] = "sigmoid";

// That a model for audio tagging says what it hears, and others do not. Errors as check_spec().
Status check_sound_input(const Spec& spec);

}  // namespace image_engine::models
