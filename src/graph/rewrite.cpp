#include "graph/rewrite.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/file.h"
#include "core/text.h"
#include "graph/dimensions.h"
#include "graph/fusions.h"
#include "graph/half.h"
#include "graph/load.h"

namespace image_engine::graph {
namespace {

constexpr std::string_view kNorm = "LayerNormalization";

int count_of_norms(const onnx::ModelProto& model) {
  return static_cast<int>(std::ranges::count(model.graph().node(), kNorm, [](const auto& n) { return n.op_type(); }));
}

void fuse(Net& net, const RewriteOptions& options, std::map<std::string, int>& fused) {
  fused["early_rows"] = fuse_early_rows(net);
  fused["affine_relu"] = fuse_affine_relus(net);
  if (!options.onnx_only) {
    fused["gelu"] = fuse_gelus(net);
    fused["attention"] = fuse_attentions(net);
    fused["qkv"] = fuse_attention_inputs(net, options.qkv);
    fused["skip_layer_norm"] = fuse_skip_norms(net);
  }
  if (options.patches_as_product) fused["patches"] = fuse_patches(net);
  if (options.chains != Chains::kNone) {
    fused["picked_rows"] = fuse_picked_rows(net);
    fused["pads"] = fuse_pads(net, options.chains);
  }
  if (options.chains == Chains::kChannelsLast) fused["resized"] = fuse_resized(net);
}

// Into nodes of operators of ours.
void fuse_own(Net& net, Chains layout, std::map<std::string, int>& fused) {
  fused["deformable"] = fuse_deformable(net);
  fused["norms"] = fuse_norms(net);
  if (layout == Chains::kChannelsLast) {
    fused["pools"] = fuse_pools(net);
    fused["turned"] = turn_pictures(net);
  }
  fused["chains"] = fuse_chains(net, layout);
}

Status check_sizes(const RewriteOptions& options) {
  constexpr std::int64_t kLargest = 1 << 20;
  const auto can_be = [](std::int64_t size) { return size > 0 && size <= kLargest; };
  if (options.batch != 0 && !can_be(options.batch))
    return fail(ErrorCode::kInvalidArgument, fmt::format("a batch of {} is impossible", options.batch));
  for (const auto& [name, size] : options.dimensions)
    if (!can_be(size))
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("the dimension {} cannot have the size {}", printable(name), size));
  return {};
}

}  // namespace

Result<Rewritten> rewrite_graph(const std::string& source, const std::string& target, const RewriteOptions& options,
                                const Runtime& runtime) {
  IE_CHECK(check_sizes(options));
  IE_TRY(onnx::ModelProto model, load_model(source));
  IE_CHECK(fix_dimensions(model, options.batch, {options.dimensions.begin(), options.dimensions.end()}));
  const int norms = count_of_norms(model);
  lift(model, runtime);
  IE_TRY(model, folded(model, runtime));
  if (options.batch == 0) make_targets_constant(model, runtime);
  Rewritten made;
  made.fused["layer_norm"] = std::max(0, count_of_norms(model) - norms);
  const bool chains = options.chains != Chains::kNone;
  IE_TRY(Net net, Net::create(std::move(model), runtime, chains));
  fuse(net, options, made.fused);
  if (options.precision == "fp16") made.kept_fp32 = to_half(net, options.half_io);
  model = net.finish();
  if (chains) {
    IE_TRY(net, Net::create(std::move(model), runtime, true));
    fuse_own(net, options.chains, made.fused);
    model = net.finish();
  }
  made.nodes = model.graph().node_size();
  const std::string bytes = model.SerializeAsString();
  model.Clear();
  IE_CHECK(runtime.check(bytes));
  IE_CHECK(write_file_atomically(target, bytes));
  return made;
}

}  // namespace image_engine::graph
