// Charts as SVG. Any text is safe: it is escaped.
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
// Horizontal bars, one scale per group, each followed by its value.
std::string bar_chart(const std::string& title, const std::string& unit, const std::vector<BarGroup>& groups);

struct ChartPoint {
  double x = 0, y = 0;  // x more than 0, y not negative
  bool marked = false;
};
// A line through points in the order of x, with a logarithmic (base 2) x axis.
std::string line_chart(const std::string& title, const std::string& x_label, const std::string& y_label,
                       const std::vector<ChartPoint>& points);

}  // namespace image_engine::cli
