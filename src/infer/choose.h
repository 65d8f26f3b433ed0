// Which precision of a model this machine should run: measured once, remembered.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/session.h"
#include "models/spec.h"
#include "models/store.h"

namespace image_engine::infer {

struct Chosen {
  std::unique_ptr<Session> session;
  std::string precision;   // of the variant
  std::string reason;      // for people: "int8: 2.1 times as fast as fp32, cosine 0.9998"
  std::int64_t batch = 0;  // pictures in a run that is fastest; 0: nothing is known
};

// The inputs of one or more runs, one run after the other; asked only when there is something to measure, with a
// session of the first variant.
using MakeCanaries = std::function<Result<std::vector<Tensor>>(const Session&)>;

// Of the spec's installed variants, the fastest on this CPU whose outputs for `canaries` agree with those of the first
// variant as its gate demands, in each output of each run. With one variant nothing is measured. The choice is kept in
// `<memory folder>/precisions.json` by (model's file hashes, variants and gates, threads, CPU model, runtime version);
// a damaged file is as none, and that it cannot be written is only logged. kNotFound when the model is not installed,
// kInvalidArgument for bad canaries. A variant that cannot be loaded, gives NaN or another shape is refused; when the
// first variant cannot be loaded, its error is the result.
Result<Chosen> choose_precision(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                                const MakeCanaries& canaries, const std::string& memory_folder);

}  // namespace image_engine::infer
