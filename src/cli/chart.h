// Charts as SVG: for people, from numbers. Text may be any; it is escaped.
#pragma once

#include <string>
#include <vector>

namespace image_engine::cli {

struct Bar {
  std::string label;
  double value = 0;  // not negative
};
struct BarGroup {
  std::string title;
  std::vector<Bar> bars;
};
// Horizontal bars, one scale for each group, each with its value behind it.
std::string bar_chart(const std::string& title, const std::string& unit, const std::vector<BarGroup>& groups);

struct ChartPoint {
  double x = 0, y = 0;  // x more than 0, y not negative
  bool marked = false;
};
// A line through points in the order of x, which is shown in powers of two.
std::string line_chart(const std::string& title, const std::string& x_label, const std::string& y_label,
                       const std::vector<ChartPoint>& points);

}  // namespace image_engine::cli
