// A photo as it is sent to a server: small, and without anything but its pixels.
#pragma once

#include "core/file.h"
#include "core/hash.h"
#include "core/result.h"
#include "nvidia/endpoint.h"
#include "nvidia/picture.h"
#include "store/types.h"
#include "worker/pool.h"

namespace image_engine::pipeline {

// The file, where it is still what was analysed; else kInterrupted. Errors of opening.
Result<UniqueFd> open_as_analysed(const store::FileObservation& file);

// A baseline JPEG, sRGB, upright, without metadata or profile, within the endpoint's edge and bytes, and a video clip
// of it for detection by nvcf; `content` is empty. A worker is leased while it is made. Errors: kInterrupted when the
// file is not what was analysed any more, kTooLarge when no JPEG of it is small enough, those of opening and decoding.
Result<nvidia::Picture> cloud_picture(worker::Pool& pool, const store::FileObservation& file,
                                      const nvidia::Endpoint& endpoint);

// Whether what is made for one is as good for the other.
bool want_the_same(const nvidia::Endpoint& one, const nvidia::Endpoint& other);

}  // namespace image_engine::pipeline
