#include "infer/prebuilt.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/text.h"
#include "infer/canaries.h"
#include "infer/engine_cache.h"
#include "models/provenance.h"

namespace image_engine::infer {
namespace {

using models::Spec;
using models::Store;

bool is_of(const EngineRecord& record, const Spec& spec, const Store& store) {
  const auto provenance = models::read_provenance(store.found_in(spec));
  if (!provenance || spec.variants.empty()) return false;
  const auto file = std::ranges::find(provenance->files, spec.variants.front().file, &models::InstalledFile::name);
  return file != provenance->files.end() && file->sha256 == record.identity.model_sha256;
}

Status check_batch(const EngineIdentity& built, std::int64_t batch) {
  if (batch >= built.least_batch && batch <= built.most_batch) return {};
  return fail(ErrorCode::kUnsupported,
              fmt::format("it takes {} to {} pictures at once, not {}", built.least_batch, built.most_batch, batch));
}

}  // namespace

std::string engine_of(const Spec& spec, const Store& store, const std::string& given) {
  if (!given.empty())
    if (const auto record = read_engine_record(given); record && is_of(*record, spec, store)) return given;
  return store.engine_path(spec);
}

Status check_given_engine(const std::string& given, std::span<const Spec> specs, const Store& store) {
  IE_TRY(const EngineRecord record, read_engine_record(given));
  if (std::ranges::any_of(specs, [&](const Spec& spec) { return is_of(record, spec, store); })) return {};
  return fail(ErrorCode::kNotFound, "it was built from none of the models installed here");
}

Result<Chosen> choose_engine(const Spec& spec, const Store& store, const SessionOptions& options,
                             const std::string& engine, std::int64_t batch, const MakeCanaries& make_canaries) {
  if (const Status usable = check_provider(Provider::kTensorRt); !usable)
    return fail(usable.error().code, "TensorRT: " + usable.error().message);
  const std::string source = store.variant_path(spec, spec.variants.front());
  IE_TRY(const ReadyEngine ready, prebuilt_engine(engine, source, options.device));
  IE_TRY(const EngineRecord record, read_engine_record(engine));
  const EngineIdentity& built = record.identity;
  const std::int64_t rows = batch > 0 ? batch : built.best_batch;
  IE_CHECK(check_batch(built, rows));

  SessionOptions plain;
  plain.threads = options.threads;
  plain.fixed_dimensions = options.fixed_dimensions;
  IE_TRY(const auto reference, Session::create(source, plain));
  SessionOptions own = options;
  own.provider = Provider::kTensorRt;
  own.tensorrt = TensorRtOptions{.precision = built.precision};
  IE_TRY(auto session, Session::create(ready.model, own));

  IE_TRY(const std::vector<Tensor> canaries, make_canaries(*reference));
  IE_TRY(const std::vector<Tensor> wanted, run_canaries(*reference, canaries, spec.outputs));
  IE_TRY(const std::vector<Tensor> outputs, run_canaries(*session, canaries, spec.outputs));
  IE_TRY(const Agreement found, agreement_of(spec, wanted, outputs));
  IE_CHECK(check_gate(found, gate_of(spec, built.precision)));
  std::string reason =
      fmt::format("{}: the engine {}, cosine {:.4f}", built.precision, printable(engine), found.cosine);
  return Chosen{std::move(session), built.precision, std::move(reason), rows};
}

}  // namespace image_engine::infer
