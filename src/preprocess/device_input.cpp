#include "preprocess/device_input.h"

#include "preprocess/geometry.h"

namespace image_engine::preprocess {

Result<DeviceInput> device_input(const Plan& plan, const gpu::DevicePicture& picture, void* out, ElementType type,
                                 FullSize full) {
  IE_CHECK(check_plan(plan));
  if (type != plan.type && !(type == ElementType::kFloat16 && plan.type == ElementType::kFloat32))
    return fail(ErrorCode::kInvalidArgument, "preprocessing: the type is neither the plan's nor float16 for float32");
  const gpu::PictureSize upright = gpu::upright_size(picture);
  if (upright.width == 0 || upright.height == 0)
    return fail(ErrorCode::kInvalidArgument, "preprocessing: the picture is empty");
  const bool has_full = full.width != 0 && full.height != 0;
  const Geometry geometry =
      geometry_of(plan, has_full ? PictureEdges{full.width, full.height} : PictureEdges{upright.width, upright.height});
  const Resampler::Part& part = geometry.part;
  DeviceInput made;
  made.input = geometry.input;
  made.placement = placement_of(geometry, upright.width, upright.height);
  made.task.picture = picture;
  made.task.filter = plan.filter;
  made.task.part = {part.out_width, part.out_height, part.left, part.top, part.width, part.height};
  made.task.output = {out,
                      type,
                      geometry.input.width,
                      geometry.input.height,
                      geometry.left,
                      geometry.top,
                      plan.layout == Layout::kNchw,
                      plan.order == ChannelOrder::kBgr,
                      plan.mean,
                      plan.deviation,
                      plan.pad};
  return made;
}

}  // namespace image_engine::preprocess
