// Rewriting graphs: numbers, reading files. What is made of a graph is compared with the reference in
// tests/models_tools/test_optimise.py.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "graph/load.h"
#include "graph/shapes.h"
#include "graph/tensor.h"
#include "tests/support/ok.h"
#include "tests/support/scratch.h"

namespace image_engine::graph {
namespace {

TEST(Half, EveryNumberComesBack) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const float value = float_of(static_cast<std::uint16_t>(bits));
    if (std::isnan(value)) continue;
    EXPECT_EQ(half_of(value), bits);
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  EXPECT_EQ(half_of(1.0F + 0x1p-11F), half_of(1.0F));  // between 1 and the next: the even one
  EXPECT_EQ(float_of(half_of(1.0F + 0x1.8p-10F)), 1.0F + 0x1p-9F);
  EXPECT_EQ(float_of(half_of(65519.9F)), 65504.0F);
  EXPECT_TRUE(std::isinf(float_of(half_of(65520.0F))));
  EXPECT_EQ(float_of(half_of(0x1.8p-25F)), 0x1p-24F);
  EXPECT_EQ(half_of(0x1p-25F), 0);
  EXPECT_EQ(half_of(-0.0F), 0x8000);
  EXPECT_TRUE(std::isnan(float_of(half_of(std::nanf("")))));
}

TEST(Tensor, NumbersAreReadFromBothForms) {
  onnx::TensorProto listed;
  listed.set_data_type(onnx::TensorProto::INT64);
  listed.add_dims(2);
  listed.add_int64_data(-1);
  listed.add_int64_data(std::int64_t{1} << 62U);
  EXPECT_EQ(whole_numbers(listed), (std::vector<std::int64_t>{-1, std::int64_t{1} << 62U}));
  EXPECT_EQ(whole_numbers(int_tensor({3, 0})), (std::vector<std::int64_t>{3, 0}));
  EXPECT_EQ(floats(float_tensor(std::vector{1.5F}, {1})), std::vector{1.5F});
}

// A file may promise more numbers than it holds.
TEST(Tensor, MissingNumbersAreNotRead) {
  onnx::TensorProto cut = float_tensor(std::vector{1.0F}, {1 << 20});
  EXPECT_EQ(floats(cut), std::nullopt);
  EXPECT_EQ(number_at(cut, 1), std::nullopt);
  cut.clear_raw_data();
  EXPECT_EQ(floats(cut), std::nullopt);
  EXPECT_EQ(number_at(cut, 0), std::nullopt);
  onnx::TensorProto whole = int_tensor({1});
  whole.add_dims(7);
  EXPECT_EQ(whole_numbers(whole), std::nullopt);
}

std::string small_model() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  onnx::NodeProto* node = model.mutable_graph()->add_node();
  node->set_op_type("MatMul");
  node->add_input("x");
  node->add_input("w");
  node->add_output("y");
  model.mutable_graph()->add_output()->set_name("y");
  onnx::TensorProto* weights = model.mutable_graph()->add_initializer();
  weights->set_name("w");
  weights->set_data_type(onnx::TensorProto::FLOAT);
  weights->add_dims(2);
  weights->set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] :
       {std::pair("location", "w.bin"), std::pair("offset", "4"), std::pair("length", "8")}) {
    weights->add_external_data()->set_key(key);
    weights->mutable_external_data()->rbegin()->set_value(value);
  }
  return model.SerializeAsString();
}

TEST(Load, TakesExternalDataIn) {
  const Scratch scratch;
  const std::string file = scratch.write("m.onnx", small_model());
  const std::vector<float> numbers{9, 1, 2};
  scratch.write("w.bin", {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float)});
  const auto model = load_model(file);
  ASSERT_OK(model);
  EXPECT_EQ(floats(model->graph().initializer(0)), (std::vector<float>{1, 2}));
  EXPECT_FALSE(model->graph().initializer(0).has_data_location());
  scratch.write("w.bin", "1234567");
  EXPECT_EQ(load_model(file).error().code, ErrorCode::kCorrupt);
}

TEST(Load, WhatItDoesNotKnowStays) {
  // A field of a later version: number 200, two bytes.
  const std::string later = small_model() + std::string("\xC2\x0C\x02hi", 5);
  const auto model = parse_model(later, "m");
  ASSERT_OK(model);
  EXPECT_EQ(model->SerializeAsString().size(), later.size());
  EXPECT_NE(model->SerializeAsString().find("hi"), std::string::npos);
}

TEST(Load, OtherFilesAreRefused) {
  const Scratch scratch;
  EXPECT_EQ(load_model(scratch / "absent").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(load_model(scratch.write("text", "no model at all")).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(load_model(scratch.write("empty", "")).error().code, ErrorCode::kCorrupt);
}

TEST(Shapes, LargeWeightsAreLeftOut) {
  onnx::ModelProto model;
  onnx::TensorProto large = float_tensor(std::vector<float>(2048), {2, 1024}), small = int_tensor({1, 2});
  large.set_name("large");
  small.set_name("small");
  *model.mutable_graph()->add_initializer() = large;
  *model.mutable_graph()->add_initializer() = small;
  const onnx::ModelProto made = without_weights(model);
  ASSERT_EQ(made.graph().initializer_size(), 1);
  EXPECT_EQ(made.graph().initializer(0).name(), "small");
  ASSERT_EQ(made.graph().input_size(), 1);
  EXPECT_EQ(made.graph().input(0).type().tensor_type().shape().dim(1).dim_value(), 1024);
}

}  // namespace
}  // namespace image_engine::graph
