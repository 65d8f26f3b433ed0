// Chooses the precision of a model for this machine: measured once, then cached.
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
  std::int64_t batch = 0;   // fastest number of pictures in a run; 0: unknown
  bool calibrated = false;  // the graph was calibrated on this machine
};

// Makes the inputs of one or more runs, one run after the other; called only for a measurement, with a session of the
// first variant.
using MakeCanaries = std::function<Result<std::vector<Tensor>>(const Session&)>;

// The folder of graphs made for this machine: for its GPU (made_graphs.h), or calibrated with the user's photos
// (models/calibrated.h). `memory_folder`: as below.
std::string graphs_folder(const std::string& memory_folder);

// How closely outputs at a precision must agree with the spec's first variant: the gate of its variant, else
// models::default_gate().
models::Gate gate_of(const models::Spec& spec, std::string_view precision);

// Chooses the fastest on this CPU of the spec's installed variants and the calibrated int8 graph, if any, whose outputs
// for `canaries` meet the gate against the first variant's, in each output of each run. `precision`: only variants of
// this one, or "auto". A single candidate is not measured. The choice is stored in `<memory folder>/precisions.json` by
// (model's file hashes, variants and gates, the calibrated graph, threads, CPU model, runtime version); a damaged file
// is ignored, and failing to write it is only logged. kNotFound when the model is not installed, kUnsupported when it
// has no variant of that precision, kInvalidArgument for bad canaries. A graph that cannot be loaded or that returns
// NaN or another shape is rejected; when the first cannot be loaded, its error is returned.
Result<Chosen> choose_precision(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                                const MakeCanaries& canaries, const std::string& memory_folder,
                                std::string_view precision = "auto");

struct Compared {
  Agreement found;
  double speed = 0;  // relative to the first: 2 is twice as fast
};
// Compares the int8 graph in `file` with the spec's first variant in the same way. Errors: why it is rejected, as in
// choose_precision().
Result<Compared> compare_calibrated(const models::Spec& spec, const models::Store& store, const SessionOptions& options,
                                    const MakeCanaries& canaries, const std::string& file);

}  // namespace image_engine::infer
