#include "vision/text_part.h"

#include <algorithm>
#include <array>

#include "vision/graph_checks.h"

namespace image_engine::vision {
namespace {

Result<Normalisation> text_normalisation(const models::InputSpec& input) {
  Normalisation how;
  const bool sound = (input.order == "bgr" || input.order == "rgb") && input.mean.size() == 3 &&
                     input.deviation.size() == 3 &&
                     std::ranges::none_of(input.deviation, [](double d) { return d == 0; });
  if (!sound)
    return fail(ErrorCode::kInvalidArgument,
                "its spec's inputs need order rgb or bgr and three means and deviations, none of them 0");
  how.bgr = input.order == "bgr";
  for (std::size_t c = 0; c < 3; ++c)
    how.mean[c] = static_cast<float>(input.mean[c]), how.deviation[c] = static_cast<float>(input.deviation[c]);
  return how;
}

// One float32 picture with any number of rows, or those named, and any number of columns, or those named.
Status check_text_picture(const infer::TensorInfo& info, std::int64_t height, std::int64_t width) {
  const std::array<std::int64_t, 4> planned{1, 3, height, width};
  const auto fits = [](std::int64_t has, std::int64_t gets) { return has < 0 || has == gets; };
  if (info.type == ElementType::kFloat32 && std::ranges::equal(info.shape, planned, fits)) return {};
  return fail(ErrorCode::kCorrupt, "its graph's input '" + info.name + "' is " + shape_text(info.shape) +
                                       ", not float32 [1,3," + std::to_string(height) + "," + std::to_string(width) +
                                       "] (-1: any)");
}

}  // namespace

Result<TextPart> text_part(const models::Spec& spec, std::shared_ptr<infer::Session> session, bool any_size) {
  TextPart part;
  if (!session) return fail(ErrorCode::kInvalidArgument, "one of its parts has no session");
  part.session = std::move(session);
  IE_TRY(part.normalisation, text_normalisation(spec.input));
  part.width = spec.input.width, part.height = spec.input.height;
  const auto edge = [](std::uint32_t n) { return n >= 8 && n <= 1024; };
  if (!any_size && !(edge(part.width) && edge(part.height)))
    return fail(ErrorCode::kInvalidArgument, "its spec's parts need an input of 8 to 1024 pixels a side");
  const auto& inputs = part.session->inputs();
  IE_TRY(const std::size_t picture, find_picture(spec, inputs));
  IE_CHECK(check_text_picture(inputs[picture], any_size ? -1 : std::int64_t{part.height}, -1));
  IE_TRY(part.output, find_output(spec.outputs, part.session->outputs()));
  return part;
}

Result<Tensor> run_text_part(const TextPart& part, const Tensor& input) {
  IE_TRY(auto outputs, part.session->run({&input, 1}, {&part.output, 1}));
  if (outputs.empty()) return fail(ErrorCode::kCorrupt, "its graph returned nothing");
  IE_CHECK(check_output(outputs.front(), static_cast<std::size_t>(input.shape[0])));
  return std::move(outputs.front());
}

tl::unexpected<Error> wrong_text_output(std::string_view what, const Tensor& output) {
  return fail(ErrorCode::kCorrupt, "its output " + shape_text(output.shape) + " is no " + std::string(what));
}

}  // namespace image_engine::vision
