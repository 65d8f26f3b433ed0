// measure_quality FILE.ppm…: what vision/quality.h says of each picture (binary PPM, 8 bits), a line of JSON each.
// tools/peers/quality_tables.py makes the tables of docs/quality.md from it.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/files.h"
#include "vision/quality.h"

namespace {

using namespace image_engine;

LumaStatistics luma_of(const Image& image) {
  LumaAccumulator luma;
  luma.begin(image.width, image.height);
  std::vector<std::uint8_t> row(image.width);
  for (std::uint32_t y = 0; y < image.height; ++y) {
    rgb_to_luma(std::span(image.pixels).subspan(y * image.row_bytes(), image.row_bytes()), row);
    luma.add_row(row);
  }
  return luma.finish();
}

}  // namespace

int main(int count, char** paths) {
  for (int i = 1; i < count; ++i) {
    const Image image = picture_of(paths[i]);
    const LumaStatistics luma = luma_of(image);
    const auto measures = vision::measure_quality(luma, {image.width, image.height, image.pixels});
    const nlohmann::json line = {{"file", paths[i]},
                                 {"quality", vision::rate_quality(measures)},
                                 {"measures",
                                  {{"sharpness", measures.sharpness},
                                   {"laplacian_variance", luma.laplacian_variance},
                                   {"laplacian_variance_top", luma.laplacian_variance_top},
                                   {"noise", measures.noise},
                                   {"contrast", measures.contrast},
                                   {"colourfulness", measures.colourfulness},
                                   {"well_exposed", measures.well_exposed},
                                   {"clipped", measures.clipped}}}};
    std::cout << line << '\n';
  }
}
