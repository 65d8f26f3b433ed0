// Decodes detectors' outputs: one row for each family. A detector of a known family needs only a spec; a new family
// needs a row.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "models/spec.h"
#include "preprocess/plan.h"
#include "types/tensor.h"

namespace image_engine::vision {

// In pixels of the model's input, corners; before NMS.
struct BoxCandidate {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  float confidence = 0;
  std::uint32_t label = 0;
};

// Turns logits into confidences; kNone: the outputs are confidences.
enum class Activation : std::uint8_t { kSigmoid, kSoftmax, kNone };
// The position of the background class.
enum class Background : std::uint8_t { kNone, kFirst, kLast };
// The unit of boxes: the input's pixels, or fractions of the input.
enum class Unit : std::uint8_t { kPixels, kFractions };
// The order of a point's coordinates.
enum class Axes : std::uint8_t { kXy, kYx };
// How a YOLO output t becomes a size: anchor · eᵗ, or anchor · (2 · sigmoid(t))².
enum class Growth : std::uint8_t { kExponential, kSquare };
// The outer loop over an anchor's shapes.
enum class AnchorOrder : std::uint8_t { kRatios, kScales };

struct Extent {
  float width = 0, height = 0;
};

// A spec's head_options, by these names; each head takes those of its row. Lists have commas or spaces between numbers.
// Numbers are finite, and more than 0 unless stated otherwise.
struct HeadOptions {
  float threshold = 0.4F;       // 0…1: least confidence
  float drawing_threshold = 0;  // 0…1: least confidence in drawings of flat colours (drawings.h), where it is more
  float nms = 0.6F;             // 0…1: IoU above which the weaker of one class is removed; 1: no suppression
  std::size_t most = 100;       // 1…kMostObjects: objects a picture
  Activation activation = Activation::kSigmoid;  // "sigmoid", "softmax", "none"
  Background background = Background::kNone;     // "none", "first", "last"; not among the labels
  Unit unit = Unit::kPixels;                     // "pixels", "fractions"
  Axes axes = Axes::kXy;                         // "xy", "yx"
  std::uint32_t first_label = 0;                 // 0…1000: the first label's number in the outputs
  bool objectness = false;                       // "yes", "no": a confidence of any object precedes the classes
  // By level, the finest first: "10x13 16x30; 30x61 62x45" are width and height in the input's pixels.
  std::vector<std::vector<Extent>> anchors;
  // Instead of `anchors`: a size in pixels for each level, times each of `scales`, in each of `ratios`: height / width
  // at the same area, or two factors, "1.4x0.7". `order` ("ratios", "scales") names the outer loop.
  std::vector<float> sizes, scales{1};
  std::vector<Extent> ratios{{1, 1}};
  AnchorOrder order = AnchorOrder::kRatios;
  std::vector<float> strides;                // of the levels, in pixels; empty: the input's size / the map's
  float centre = 0.5F;                       // 0…1: an anchor's position in its cell
  std::vector<float> variances{1, 1, 1, 1};  // factors of x, y, width and height
  std::vector<float> scale_xy{1};            // one for all levels, or one each
  Growth growth = Growth::kExponential;      // "exp", "square"
  float bbox_norm = 35;                      // pixels per unit
};
inline constexpr std::size_t kMostObjects = 300;

struct HeadInput {
  std::span<const Tensor> outputs;  // of one picture, in the order of the spec; floats are finite
  preprocess::InputSize size;       // of the model's input
  preprocess::InputSize shown;      // of the part that the model knows as the picture; else all of it
  std::size_t classes = 0;          // the number of labels
  HeadOptions options;
};

// How each family's authors decode it. Related outputs are identified by their shapes; their order matters only where
// shapes are ambiguous: then scores come first.
//
//   nanodet    For each of two or more strides (8, 16, 32, …, found by the number n of cells) scores [1, n, classes],
//              already sigmoid, and distances [1, n, 4 × 11]: side = stride · Σ k · softmax(11 bins), in the order
//              left, top, right, bottom, from the cell's centre (i + 0.5) · stride; boxes are clipped to the input
//              (Li et al., Generalized Focal Loss, 2020). A cell may give several classes.
//   centernet  Heat [1, h, w, classes], already sigmoid, and sides [1, h, w, 4] in the input's pixels, from
//              (column, row) · stride to left, top, right, bottom. Objects are the heat's maxima of 3 × 3 (Zhou et al.,
//              Objects as Points, 2019). The heat and not the hundred best that some graphs also give: those are cut
//              off before suppression.
//   centerface Heat [1, 1, h, w], already sigmoid, then sizes [1, 2, h, w] and offsets [1, 2, h, w], in this order, of
//              one class: height and width are stride · eˢ, the centre (row + offset + ½) · stride and likewise of the
//              column, the vertical one first (Xu et al., CenterFace, 2019; its authors' demo). Boxes are clipped to
//              the input.
//   detectnet  Confidences [1, classes, h, w] and boxes [1, 4 × classes, h, w]: from the point (column, row) · stride +
//              0.5 to left, top, right, bottom, in units of `bbox_norm` pixels (NVIDIA's DetectNet_v2; DeepStream's
//              sample parser). NVIDIA clusters with DBSCAN; here the best box of each cluster stays (suppression).
//   queries    Logits [1, q, classes], and boxes [1, q, 4]: centre and size as fractions of what is shown. Softmax: one
//              class more, which is no object, and the best class of each query (Carion et al., DETR, 2020). Sigmoid:
//              the q best of all queries' classes (D-FINE, RT-DETR, RF-DETR). No suppression.
//   yolo       [1, 4 + classes, n] (YOLOv8, YOLO11) or, with `objectness`, [1, n, 5 + classes] (YOLOv5): centre and
//              size in the input's pixels, then scores, already sigmoid. The best class of each.
//   yolo_anchors  For each level raw maps of its a anchors: [1, a × (5 + classes), h, w], [1, h, w, a × (5 + classes)],
//              [1, a, h, w, 5 + classes] or [1, h, w, a, 5 + classes]. x = (column + (sigmoid(t) − ½) · scale_xy + ½) ·
//              stride, width = anchor · growth(t), confidence = sigmoid(objectness) · sigmoid(class) (YOLOv3; YOLOv4's
//              scale_x_y; YOLOv5: scale_xy 2, growth square). The best class of each.
//   anchors    Classes and offsets of each level: [1, a × classes, h, w] and [1, a × 4, h, w], or [1, h, w, …]; or all
//              in one, [1, n, classes] and [1, n, 4], the finest level first, by rows, columns and anchors (then
//              `strides` must be given): x = anchor's x + offset · variance · its width, width = its width ·
//              exp(offset · variance) (SSD, RetinaNet, EfficientDet). Every class above the threshold.
//   batched_nms  A number [1, 1] or [1], boxes [1, k, 4] (also [1, k, 1, 4]), scores [1, k] and classes [1, k], of
//              which only that number are valid (TensorRT's BatchedNMS and EfficientNMS, TAO's YOLOs and EfficientDet,
//              TensorFlow's).
//   fasterrcnn Boxes [n, 4], classes [n] (integers, else after the scores) and scores [n], optionally after a 1
//              (torchvision's detectors).
//   fasterrcnn_dense  Of each of r proposals scores [1, r, classes + 1], of which the last is the background, already
//              softmax; offsets [1, r, 4 × classes]; and the proposal itself [1, r, 4]: top, left, bottom, right as
//              fractions of the input's edges less 1. Each may lack the first 1, or have 1s at the end; of equal widths
//              in this order. The best class of each, unless that is the background; moved and stretched as an anchor,
//              by that class's x, y, width and height (NVIDIA TAO's FasterRCNN before its NMS: dense_class_td,
//              dense_regress_td, proposal; DeepStream's sample parser).
//   yolo_rows  [1, k, 6]: left, top, right, bottom, score, class (end-to-end YOLOs).
//   nms_rows   [1, 1, k, 7]: picture, class, score, left, top, right, bottom; the number of rows in an output
//              beside it, or −1 as the picture after them (TensorRT's NMS: TAO's SSD, DSSD, RetinaNet, FasterRCNN).
struct HeadKind {
  std::string_view name;                      // in specs
  float threshold = 0, nms = 0;               // defaults of HeadOptions
  Unit unit = Unit::kPixels;                  // likewise
  std::span<const std::string_view> options;  // accepted besides those of all heads
  // Whether outputs may be integers and may lack the first dimension of 1. Else they are kFloat32 and have it.
  bool decoded = false;
  // Errors: kCorrupt when shapes are not those of this family, kInvalidArgument when the numbers of classes and labels,
  // or of anchors and boxes, differ.
  Result<std::vector<BoxCandidate>> (*read)(const HeadInput& input) = nullptr;
  std::array<float, 4> variances{1, 1, 1, 1};  // defaults of HeadOptions
};

std::span<const HeadKind> head_kinds();

// kInvalidArgument names an unknown head or option, or an invalid value.
Result<const HeadKind*> find_head(const models::Spec& spec);
Result<HeadOptions> read_options(const models::Spec& spec, const HeadKind& head);

// Best first; equals keep their order. Removes candidates that overlap a better one of their class by more than `iou`.
std::vector<BoxCandidate> suppress(std::vector<BoxCandidate> candidates, float iou, std::size_t most);

}  // namespace image_engine::vision
