// Which precision of a model this machine should run: measured once, remembered.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/result.h"
#include "infer/agreement.h"
#include "infer/session.h"
#include "models/spec.h"
#include "models/store.h"

namespace image_engine::infer {

struct Chosen {
  std::unique_ptr<Session> session;
  std::string precision;    // of the variant
  std::string reason;       // for people: "int8: 2.1 times as fast as fp32, cosine 0.9998"
  std::int64_t batch = 0;   // pictures in a run that is fastest; 0: nothing is known
  bool calibrated = false;  // the graph is the one that was calibrated here
};

// The inputs of one or more runs, one run after the other; asked only when there is something to measure, with a
// session of the first variant.
using MakeCanaries = std::function<Result<std::vector<Tensor>>(const Session&)>;

// Where the graphs are that were made of models for this machine: of its GPU (models/made_graphs.h), or with its
// owner's photos (models/calibrated.h). `memory_folder`: as below.
std::string graphs_folder(const std::string& memory_folder);

// What outputs at a precision must agree in with the spec's first: as its variant has it, else models::default_gate().
models::Gate gate_of(const models::Spec& spec, std::string_view precision);

// Of the spec's installed variants, and the int8 graph calibrated here if there is one, the fastest on this CPU whose
// outputs for `canaries` agree with those of the first as its gate demands, in each output of each run. `precision`:
// of those at this one alone, or "auto". With one nothing is measured. The choice is kept in
// `<memory folder>/precisions.json` by (model's file hashes, variants and gates, the calibrated graph, threads, CPU
// model, runtime version); a damaged file is as none, and that it cannot be written is only logged. kNotFound when the
// model is not installed, kUnsupported when it has none at that precision, kInvalidArgument for bad canaries. A graph
// that cannot be loaded, gives NaN or another shape is refused; when the first cannot be loaded, its error is the
// result.
Result<Chosen> choose_precision(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                                const MakeCanaries& canaries, const std::string& memory_folder,
                                std::string_view precision = "auto");

struct Compared {
  Agreement found;
  double speed = 0;  // of the first: 2 is twice as fast
};
// How the int8 graph in `file` does beside the spec's first variant, by the same measure. Errors: what it is refused
// for, as choose_precision().
Result<Compared> compare_calibrated(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                                    const MakeCanaries& canaries, const std::string& file);

}  // namespace image_engine::infer
