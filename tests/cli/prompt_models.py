"""Models of what a person points at or names, in the shapes of the published exports, whose answers are known."""

import gzip

import numpy as np
from action_models import VOCABULARY, save, tensor, token
from onnx import TensorProto, helper

INPUT, MASK, FAR = 1024, 256, np.float32(-1000)
MEAN, DEVIATION = np.array([123.675, 116.28, 103.53], np.float32), np.array([58.395, 57.12, 57.375], np.float32)
node = helper.make_node


def floats(*values):
    return np.array(values, np.float32)


def encoder(path, outputs, bare=False):
    """A picture → [1,256,64,64], whose first channel is how red it is, and whatever else there is, zeros: [(name, shape)], the embeddings first.
    `bare`: of [h,w,3], with normalisation and padding inside."""
    constants = [("colours", np.zeros((256, 3, 1, 1), np.float32))]
    constants[0][1][0, 0] = 1
    nodes, picture = [], tensor("image", [1, 3, INPUT, INPUT])
    if bare:
        picture = tensor("input_image", ["h", "w", 3])
        constants += [("mean", MEAN), ("deviation", DEVIATION), ("edges", np.array([INPUT, INPUT], np.int64)), ("none", np.zeros(4, np.int64)), ("first", np.array([0], np.int64)),
                      ("two", np.array([2], np.int64)), ("zero", np.array([0], np.int64))]  # fmt: skip
        nodes += [node("Sub", ["input_image", "mean"], ["less"]), node("Div", ["less", "deviation"], ["normal"]), node("Transpose", ["normal"], ["chw"], perm=[2, 0, 1]),
                  node("Shape", ["input_image"], ["shape"]), node("Slice", ["shape", "zero", "two"], ["size"]), node("Sub", ["edges", "size"], ["beside"]),
                  node("Concat", ["none", "beside"], ["pads"], axis=0), node("Pad", ["chw", "pads"], ["padded"]), node("Unsqueeze", ["padded", "first"], ["image"])]  # fmt: skip
    nodes += [node("AveragePool", ["image"], ["small"], kernel_shape=[16, 16], strides=[16, 16]), node("Conv", ["small", "colours"], [outputs[0][0]])]
    for name, shape in outputs[1:]:
        constants.append((name + "_", np.zeros(shape, np.float32)))
        nodes.append(node("Identity", [name + "_"], [name]))
    save(path, nodes, [picture], [tensor(name, shape) for name, shape in outputs], constants)


def decoder(path, embeddings, radii, ious, masks, padding, size):
    """Masks are discs of these radii around the points inside, and the box; without a smaller disc around each point outside; and only what is red.
    Nothing where the padding is not as it should be, or a mask is said to be given. `embeddings`: [(name, shape)], the first counts."""
    y, x = np.mgrid[0:MASK, 0:MASK].astype(np.float32) * 4 + 2  # the middles of places, in pixels of the encoder's input
    constants = [("x", x[None]), ("y", y[None]), ("far", FAR), ("radii", floats(*radii).reshape(1, -1, 1, 1)), ("hole", np.float32(20)), ("ious", floats(ious)),
                 ("sharp", np.float32(100)), ("red_sizes", np.array([1, 1, MASK, MASK], np.int64)), ("one", np.float32(1)), ("half", np.float32(0.5)), ("zero", np.float32(0)),
                 ("axis0", np.array([0], np.int64)), ("axis1", np.array([1], np.int64)), ("flat", np.array([-1, 1, 1], np.int64)), ("at_x", np.array(0)), ("at_y", np.array(1))]  # fmt: skip
    constants += [(f"is{label}", np.float32(label)) for label in (-1, 0, 1, 2, 3)]
    nodes = [node("Reshape", ["point_labels", "flat"], ["labels"])]
    for axis in "xy":
        nodes += [node("Gather", ["point_coords", f"at_{axis}"], [f"p{axis}_"], axis=2), node("Reshape", [f"p{axis}_", "flat"], [f"p{axis}"]),
                  node("Sub", [axis, f"p{axis}"], [f"d{axis}"]), node("Mul", [f"d{axis}", f"d{axis}"], [f"d{axis}2"])]  # fmt: skip
    nodes += [node("Add", ["dx2", "dy2"], ["d2"]), node("Sqrt", ["d2"], ["d"]), node("Neg", ["d"], ["near"]), node("Sub", ["hole", "d"], ["in_hole"])]
    for label in (-1, 0, 1, 2, 3):
        nodes += [node("Equal", ["labels", f"is{label}"], [f"l{label}"]), node("Cast", [f"l{label}"], [f"f{label}"], to=TensorProto.FLOAT),
                  node("ReduceSum", [f"f{label}", "axis0"], [f"n{label}"], keepdims=1)]  # fmt: skip
    for corner in (2, 3):
        for axis in "xy":
            nodes += [node("Mul", [f"p{axis}", f"f{corner}"], [f"{axis}{corner}_"]), node("ReduceSum", [f"{axis}{corner}_", "axis0"], [f"{axis}{corner}"], keepdims=1)]
    sides = []
    for axis in "xy":
        nodes += [node("Sub", [axis, f"{axis}2"], [f"{axis}low"]), node("Sub", [f"{axis}3", axis], [f"{axis}high"])]
        sides += [f"{axis}low", f"{axis}high"]
    nodes += [node("Min", sides, ["in_box"]), node("Cast", ["n2"], ["has_box"], to=TensorProto.BOOL), node("Where", ["has_box", "in_box", "far"], ["boxed"]),
              node("Where", ["l1", "near", "far"], ["nearest_"]), node("ReduceMax", ["nearest_"], ["nearest"], axes=[0], keepdims=1), node("Unsqueeze", ["nearest", "axis1"], ["nearest4"]),
              node("Add", ["nearest4", "radii"], ["discs"]), node("Unsqueeze", ["boxed", "axis1"], ["boxed4"]), node("Max", ["discs", "boxed4"], ["meant"]),
              node("Where", ["l0", "in_hole", "far"], ["holes_"]), node("ReduceMax", ["holes_"], ["holes"], axes=[0], keepdims=1), node("Neg", ["holes"], ["beside"]), node("Unsqueeze", ["beside", "axis1"], ["beside4"]),
              node("Gather", [embeddings[0][0], "at_x"], ["redness_"], axis=1), node("Unsqueeze", ["redness_", "axis1"], ["redness"]), node("Resize", ["redness", "", "", "red_sizes"], ["red_"], mode="nearest"),
              node("Mul", ["red_", "sharp"], ["red"]), node("Min", ["meant", "beside4", "red"], ["found"])]  # fmt: skip
    # Padding: one where there is no box, or never.
    nodes += [node("Sub", ["one", "n2"], ["wanted_"]), node("Mul", ["wanted_", "padded"], ["wanted"]), node("Sub", ["n-1", "wanted"], ["off_"]), node("Abs", ["off_"], ["off"]),
              node("ReduceMax", ["mask_input"], ["mask_most"], keepdims=0), node("Add", ["has_mask_input", "mask_most"], ["given"]), node("Add", ["off", "given"], ["wrong"]),
              node("Mul", ["wrong", "far"], ["penalty"]), node("Add", ["found", "penalty"], ["sound"]), node("Identity", ["ious"], ["iou_predictions"])]  # fmt: skip
    constants.append(("padded", np.float32(padding)))
    inputs = [tensor(name, shape) for name, shape in embeddings]
    inputs += [tensor("point_coords", [1, "points", 2]), tensor("point_labels", [1, "points"]), tensor("mask_input", [1, 1, MASK, MASK]), tensor("has_mask_input", [1])]
    outputs = [tensor(masks, [1, len(radii), MASK, MASK]), tensor("iou_predictions", [1, len(radii)])]
    if size:  # the photo's height and width: what is beyond them is not of the picture, and masks of that size
        inputs.append(tensor("orig_im_size", [2]))
        constants += [("edge", np.float32(INPUT)), ("stack", np.array([1, 1], np.int64)), ("count", np.array([1, len(radii)], np.int64))]
        nodes += [node("ReduceMax", ["orig_im_size"], ["longer"], keepdims=0), node("Div", ["edge", "longer"], ["scale"]), node("Mul", ["orig_im_size", "scale"], ["placed"]),
                  node("Gather", ["placed", "at_x"], ["tall"]), node("Gather", ["placed", "at_y"], ["wide"]), node("Sub", ["tall", "y"], ["above_"]), node("Sub", ["wide", "x"], ["left_"]),
                  node("Min", ["above_", "left_"], ["within_"]), node("Unsqueeze", ["within_", "axis1"], ["within"]), node("Min", ["sound", "within"], [masks]),
                  node("Cast", ["orig_im_size"], ["whole"], to=TensorProto.INT64), node("Concat", ["count", "whole"], ["sizes"], axis=0),
                  node("Resize", [masks, "", "", "sizes"], ["masks"], mode="linear")]  # fmt: skip
        outputs.append(tensor("masks", [1, len(radii), "h", "w"]))
    else:
        nodes.append(node("Identity", ["sound"], [masks]))
    save(path, nodes, inputs, outputs, constants)


SAM_RADII, SAM_IOUS = (60, 90, 120, 150), (0.99, 0.6, 0.9, 0.7)
SAM2_RADII, SAM2_IOUS = (90, 120, 150), (0.6, 0.7, 0.95)


def sam(folder, name="mobile_sam", bare=False, embeddings="image_embeddings"):
    """MobileSAM's and SAM's export: an encoder beside its decoder."""
    encoder(folder / f"{name}.encoder.onnx", [(embeddings, [1, 256, 64, 64])], bare)
    decoder(folder / f"{name}.decoder.onnx", [("image_embeddings", [1, 256, 64, 64])], SAM_RADII, SAM_IOUS, "low_res_masks", padding=True, size=True)
    return folder / f"{name}.encoder.onnx"


def sam2(folder, name="sam2_hiera_tiny"):
    features = [("image_embed", [1, 256, 64, 64]), ("high_res_feats_0", [1, 32, 256, 256]), ("high_res_feats_1", [1, 64, 128, 128])]
    encoder(folder / f"{name}.encoder.onnx", features)
    decoder(folder / f"{name}.decoder.onnx", features, SAM2_RADII, SAM2_IOUS, "masks", padding=False, size=False)
    return folder / f"{name}.encoder.onnx"


def clipseg(folder, name="model.onnx", words=("red", "green", "blue"), rank=3):
    """CLIPSeg's export: a phrase means the colours that it names; what is masked out of it does not count. Beside it, merges.txt as CLIP's models have it."""
    table = np.zeros((49408, 3), np.float32)
    for channel, word in enumerate(words):
        table[token(word), channel] = 8
    nodes = [node("Gather", ["table", "input_ids"], ["rows"]), node("Unsqueeze", ["attention_mask", "last"], ["mask_"]), node("Cast", ["mask_"], ["mask"], to=TensorProto.FLOAT),
             node("Mul", ["rows", "mask"], ["counted"]), node("ReduceSum", ["counted", "tokens"], ["colour"], keepdims=0), node("Reshape", ["colour", "as_weights"], ["weights"]),
             node("Conv", ["pixel_values", "weights"], ["plane"]), node("Sub", ["plane", "one"], ["logits" if rank == 4 else "less"])]  # fmt: skip
    if rank < 4:
        nodes.append(node("Squeeze", ["less", "plane_axes"], ["logits"]))
    save(folder / name, nodes, [tensor("pixel_values", ["n", 3, 352, 352]), tensor("input_ids", ["n", "t"], TensorProto.INT64), tensor("attention_mask", ["n", "t"], TensorProto.INT64)],
         [tensor("logits", ["n", 352, 352] if rank == 3 else None)],
         [("table", table), ("last", np.array([2])), ("tokens", np.array([1])), ("as_weights", np.array([1, 3, 1, 1])), ("one", np.float32(1)), ("plane_axes", np.array([0, 1] if rank == 2 else [1]))])  # fmt: skip
    with gzip.open(VOCABULARY, "rt", encoding="utf-8") as file:
        (folder / "merges.txt").write_text("".join(line for line, _ in zip(file, range(48895))), encoding="utf-8")
    return folder / name
