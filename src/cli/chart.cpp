#include "cli/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/text.h"

namespace image_engine::cli {
namespace {

constexpr double kWidth = 860, kMargin = 24;
constexpr double kLabels = 270, kBars = 460;  // columns of a bar chart
constexpr double kRow = 24, kBar = 16, kHeading = 34;
constexpr const char* kBlue = "#3f72af";
constexpr const char* kGreen = "#2f9e6e";
constexpr const char* kGrey = "#6b7280";
constexpr const char* kLight = "#e5e7eb";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else
      out += c;
  }
  return out;
}

std::string number(double value) { return fmt::format(fmt::runtime(value < 10 ? "{:.2f}" : "{:.0f}"), value); }

std::string text_at(double x, double y, const std::string& text, const char* anchor, int size, const char* colour,
                    bool bold = false) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\" fill=\"{}\"{}>{}</text>\n", x,
                     y, anchor, size, colour, bold ? " font-weight=\"bold\"" : "", escaped(text));
}

std::string page(double height, const std::string& title, const std::string& body) {
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" "
             "height=\"{1:.0f}\" font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n"
             "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
             kWidth, height) +
         text_at(kMargin, kMargin + 12, title, "start", 18, "#111827", true) + body + "</svg>\n";
}

std::string line(double x1, double y1, double x2, double y2, const char* colour, double width) {
  return fmt::format(
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"/>\n", x1, y1, x2,
      y2, colour, width);
}

// 1, 2 or 5 times a power of ten, about a fifth of it.
double step_for(double most) {
  const double rough = std::max(most, 1e-9) / 5, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double times : {1.0, 2.0, 5.0})
    if (times * power >= rough) return times * power;
  return 10 * power;
}

}  // namespace

std::string bar_chart(const std::string& title, const std::string& unit, const std::vector<BarGroup>& groups) {
  std::string body;
  double y = kMargin + 40;
  for (const BarGroup& group : groups) {
    body += text_at(kMargin, y, group.title, "start", 14, "#111827", true);
    double most = 0;
    for (const Bar& bar : group.bars) most = std::max(most, bar.value);
    y += 12;
    for (const Bar& bar : group.bars) {
      const double length = most > 0 ? kBars * bar.value / most : 0, left = kMargin + kLabels;
      body += text_at(left - 10, y + 13, bar.label, "end", 12, kGrey);
      body += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{}\" rx=\"2\" fill=\"{}\"/>\n",
                          left, y, std::max(length, 1.0), kBar, bar.value == most ? kGreen : kBlue);
      body += text_at(left + length + 8, y + 13, number(bar.value), "start", 12, "#111827");
      y += kRow;
    }
    y += kHeading - 8;
  }
  body += text_at(kMargin, y, unit + "; the longest bar of each model is its fastest", "start", 11, kGrey);
  return page(y + kMargin, title, body);
}

std::string line_chart(const std::string& title, const std::string& x_label, const std::string& y_label,
                       const std::vector<ChartPoint>& points) {
  constexpr double kLeft = 90, kTop = 70, kRight = kWidth - 40, kBottom = 400;
  double most = 0, first = 1, last = 1;
  for (const ChartPoint& point : points) most = std::max(most, point.y);
  if (!points.empty()) first = std::log2(points.front().x), last = std::log2(points.back().x);
  const double step = step_for(most), top = step * std::max(1.0, std::ceil(most / step));
  const auto at_x = [&](double x) {
    return last > first ? kLeft + (kRight - kLeft) * (std::log2(x) - first) / (last - first) : (kLeft + kRight) / 2;
  };
  const auto at_y = [&](double y) { return kBottom - (kBottom - kTop) * y / top; };
  std::string body;
  for (int i = 0; i <= static_cast<int>(std::lround(top / step)); ++i) {
    const double y = i * step;
    body += line(kLeft, at_y(y), kRight, at_y(y), kLight, 1);
    body += text_at(kLeft - 10, at_y(y) + 4, fmt::format("{:g}", y), "end", 12, kGrey);
  }
  std::string path;
  for (const ChartPoint& point : points) path += fmt::format("{:.1f},{:.1f} ", at_x(point.x), at_y(point.y));
  body += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", path, kBlue);
  for (const ChartPoint& point : points) {
    body += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\"/>\n", at_x(point.x), at_y(point.y),
                        point.marked ? 7 : 4, point.marked ? kGreen : kBlue);
    body += text_at(at_x(point.x), kBottom + 20, fmt::format("{:g}", point.x), "middle", 12, kGrey);
    if (point.marked)
      body += text_at(at_x(point.x), at_y(point.y) - 14, number(point.y), "middle", 13, "#111827", true);
  }
  body += text_at((kLeft + kRight) / 2, kBottom + 44, x_label, "middle", 13, kGrey);
  body += text_at(kLeft - 60, kTop - 14, y_label, "start", 13, kGrey);
  return page(kBottom + 64, title, body);
}

}  // namespace image_engine::cli
