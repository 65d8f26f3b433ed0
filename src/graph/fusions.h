// Rewrites of a float32 graph into the operators for which ONNX Runtime's CUDA provider has fast kernels. Each returns
// the number of places that it rewrote, and leaves what it does not know unchanged. Those marked "contrib" use
// operators of ONNX Runtime; the others use only ONNX's.
#pragma once

#include <string_view>

#include "graph/net.h"
#include "graph/rewrite.h"

namespace image_engine::graph {

// Where one row of each picture is taken at the end (a class token): what is computed row by row before, only of that
// row.
int fuse_early_rows(Net& net);
// s · relu(conv) + t, as in HGNetV2: a convolution with other weights, clipped at t.
int fuse_affine_relus(Net& net);
// Contrib: x · (1 + erf(x / √2)) / 2, with the bias before it, and x · σ(1.702 x). σ(x) · x stays: the provider fuses
// it itself, after it may have changed a convolution's layout.
int fuse_gelus(Net& net);
// Contrib: softmax(q kᵀ · scale) v over heads, without a mask or with one that is all zeros.
int fuse_attentions(Net& net);
// Contrib: the products that make an attention's inputs from one tensor.
int fuse_attention_inputs(Net& net, Qkv way);
// Contrib: a sum and its norm, with the bias of the product that is summed.
int fuse_skip_norms(Net& net);
// A convolution whose kernel is its stride, laid out as rows afterwards: a product.
int fuse_patches(Net& net);

// Where rows are picked by index (a detector's best queries) of a tensor and of what is computed of it row by row, and
// nothing else needs that: computed of the picked rows.
int fuse_picked_rows(Net& net);
// 1 × 1 convolutions of concatenations of which all but one part were made larger by whole numbers of times: products
// of the parts, made larger afterwards, and their sum. For chains with channels last, which make operands larger.
int fuse_resized(Net& net);
// Convolutions of pictures with zeros around them: the zeros are the convolution's pads. Where those of two sides are
// unequal, for which cuDNN has no convolution, the kernel has zeros beside it.
int fuse_pads(Net& net, Chains layout);

// In a graph whose types are final: deformable attention over several levels as nodes of an operator of ours
// (chains.h).
int fuse_deformable(Net& net);
// In a graph whose types are final: maxima of windows, also with zeros around the picture, with channels last, as nodes
// of an operator of ours (chains.h).
int fuse_pools(Net& net);
// In a graph whose types are final: pictures of few channels that enter the graph are laid out with channels last by an
// operator of ours (chains.h), for their convolutions.
int turn_pictures(Net& net);
// In a graph whose types are final: norms of rows, with the sum before them, as nodes of an operator of ours
// (chains.h).
int fuse_norms(Net& net);
// In a graph whose types are final: chains of elementwise nodes, with the biases before them, as nodes of an operator
// of ours (chains.h).
int fuse_chains(Net& net, Chains layout);

// Constants written as decimals: within a thousandth.
bool is_near(std::optional<double> value, double wanted);
// Of `product + vector` that ends in `name`: both; nothing where another node needs the product.
std::optional<std::pair<std::string, std::string>> bias_of(const Net& net, const std::string& name);

}  // namespace image_engine::graph
