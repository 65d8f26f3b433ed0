// Several GPUs as one session.
#pragma once

#include <memory>
#include <vector>

#include "infer/session.h"

namespace image_engine::infer {

// `sessions` of the same graph, each on a GPU of its own. A run goes to whichever GPU is free first, so that a slower
// or busier GPU does less; `runs_each` at once on each. A GPU whose run fails by kInternal (it is lost) gets no more
// work and the run is done again on another; of the last one the error is given, as is kOutOfMemory of any.
std::unique_ptr<Session> make_sharing(std::vector<std::unique_ptr<Session>> sessions, int runs_each);

}  // namespace image_engine::infer
