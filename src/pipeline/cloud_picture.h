// A photo, or a frame of a video, as it is sent to a server: small, and only its pixels.
#pragma once

#include "core/file.h"
#include "core/hash.h"
#include "core/result.h"
#include "nvidia/endpoint.h"
#include "nvidia/picture.h"
#include "store/types.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

// Opens the file. kInterrupted when it has changed since its analysis; errors of opening.
Result<UniqueFd> open_as_analysed(const store::FileObservation& file);

// Of a photo; where `at` is not negative, of the frame of a video that is shown at that time in seconds. A baseline
// JPEG, sRGB, upright, without metadata or profile, within the endpoint's edge and bytes, and a video clip of it for
// detection by nvcf; `content` is empty. Leases a worker meanwhile. Errors: kInterrupted when the file has changed
// since its analysis, kTooLarge when no JPEG of it is small enough, those of opening and decoding.
Result<nvidia::Picture> cloud_picture(worker::Pool& pool, const store::FileObservation& file,
                                      const nvidia::Endpoint& endpoint, double at = -1);

// Whether a picture made for one endpoint also suits the other.
bool want_the_same(const nvidia::Endpoint& one, const nvidia::Endpoint& other);

}  // namespace image_engine::pipeline
