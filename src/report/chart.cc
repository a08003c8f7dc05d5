#include "report/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/html.h"
#include "base/progress.h"

namespace attune {
namespace {

constexpr double kWidth = 480, kHeight = 230, kLeft = 64, kRight = 12, kTop = 12, kBottom = 32;
constexpr std::size_t kMostPoints = 600;

// Steps of 1, 2 or 5 times a power of ten that cut [low, high] into about `count` parts.
std::vector<double> ticks(double low, double high, int count) {
  const double rough = (high - low) / count, power = std::pow(10.0, std::floor(std::log10(rough)));
  const double share = rough / power, step = power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
  std::vector<double> values;
  for (double value = std::ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) {
    values.push_back(std::abs(value) < step * 1e-9 ? 0 : value);
  }
  return values;
}

struct Scale {
  double low, high, from, to;
  double operator()(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

Scale scale(double low, double high, double from, double to) {
  if (!(high > low)) {
    low -= 0.5;
    high += 0.5;
  }
  return {low, high, from, to};
}

// Of each run of points that share a column of the screen, the lowest and the highest.
Curve thinned(const Curve& curve) {
  if (curve.size() <= kMostPoints) return curve;
  Curve result;
  const std::size_t columns = kMostPoints / 2;
  const auto lower = [](const Point& a, const Point& b) { return a.value < b.value; };
  for (std::size_t i = 0; i < columns; ++i) {
    const auto begin = curve.begin() + static_cast<std::ptrdiff_t>(i * curve.size() / columns);
    const auto end = curve.begin() + static_cast<std::ptrdiff_t>((i + 1) * curve.size() / columns);
    auto [low, high] = std::minmax_element(begin, end, lower);
    if (high < low) std::swap(low, high);
    result.push_back(*low);
    if (low != high) result.push_back(*high);
  }
  return result;
}

std::string opening(const std::string& title, const std::string& note) {
  std::string text = fmt::format("<figure><figcaption>{}", escape_html(title));
  if (!note.empty()) text += fmt::format("<small>{}</small>", escape_html(note));
  return text + "</figcaption>";
}

std::string svg_tag(const std::string& label) {
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", kWidth, kHeight, escape_html(label));
}

std::string axes(const Scale& x, const Scale& y, const std::string& unit) {
  std::string text;
  for (const double value : ticks(y.low, y.high, 4)) {
    text += fmt::format(
        "<path class=\"grid\" d=\"M{:.1f} {:.1f}H{:.1f}\"/><text class=\"y\" x=\"{}\" y=\"{:.1f}\">{}{}</text>", kLeft,
        y(value), kWidth - kRight, kLeft - 8, y(value) + 4, short_number(value), unit);
  }
  for (const double value : ticks(x.low, x.high, 6)) {
    text +=
        fmt::format("<text class=\"x\" x=\"{:.1f}\" y=\"{}\">{}</text>", x(value), kHeight - 10, short_number(value));
  }
  return text;
}

}  // namespace

std::string to_svg(const LineChart& chart) {
  const double infinity = std::numeric_limits<double>::infinity();
  double left = infinity, right = -infinity, low = chart.from_zero ? 0 : infinity, high = -infinity;
  for (const Series& series : chart.series) {
    for (const Point& point : series.curve) {
      left = std::min(left, point.step), right = std::max(right, point.step);
      low = std::min(low, point.value), high = std::max(high, point.value);
    }
  }
  if (!(left <= right)) return {};
  const double margin = chart.from_zero ? 0 : (high - low) * 0.05;
  const Scale x = scale(left, right, kLeft, kWidth - kRight);
  const Scale y = scale(low - margin, high + (high - low) * 0.05, kHeight - kBottom, kTop);

  std::string text = opening(chart.title, chart.note) + svg_tag(chart.title) + axes(x, y, chart.unit);
  for (const double step : chart.boundaries) {
    if (step > x.low && step < x.high)
      text += fmt::format("<path class=\"rule\" d=\"M{:.1f} {}V{}\"/>", x(step), kTop, kHeight - kBottom);
  }
  std::string legend;
  for (const Series& series : chart.series) {
    if (series.curve.empty()) continue;
    std::string path;
    for (const Point& p : thinned(series.curve))
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? 'M' : 'L', x(p.step), y(p.value));
    text += fmt::format("<path class=\"line {}\" d=\"{}\"/>", series.style, path);
    if (series.curve.size() <= 40) {
      for (const Point& p : series.curve) {
        text += fmt::format(
            "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\"><title>step {}: {}</title></circle>",
            series.style, x(p.step), y(p.value), short_number(p.step), short_number(p.value));
      }
    }
    legend += fmt::format("<span class=\"{}\">{}</span>", series.style, escape_html(series.name));
  }
  text += "</svg>";
  if (chart.series.size() > 1) text += "<p class=\"legend\">" + legend + "</p>";
  return text + "</figure>\n";
}

std::string to_svg(const Histogram& histogram) {
  if (histogram.counts.empty()) return {};
  const double highest = *std::max_element(histogram.counts.begin(), histogram.counts.end());
  const double end = std::max(histogram.bin_width * static_cast<double>(histogram.counts.size()), histogram.limit);
  const Scale x = scale(0, end, kLeft, kWidth - kRight), y = scale(0, highest * 1.05, kHeight - kBottom, kTop);
  std::string text = opening(histogram.title, histogram.note) + svg_tag(histogram.title) + axes(x, y, "");
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    const double begin = histogram.bin_width * static_cast<double>(i), stop = begin + histogram.bin_width,
                 count = histogram.counts[i];
    if (count == 0) continue;
    text += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"><title>{} to {}: {}</title></rect>",
        x(begin) + 0.5, y(count), std::max(1.0, x(stop) - x(begin) - 1), y(0) - y(count), short_number(begin),
        short_number(stop - 1), short_number(count));
  }
  if (histogram.limit > 0)
    text += fmt::format("<path class=\"rule\" d=\"M{:.1f} {}V{}\"/>", x(histogram.limit), kTop, kHeight - kBottom);
  return text + "</svg></figure>\n";
}

std::string short_number(double value) {
  if (!std::isfinite(value)) return "-";
  if (std::abs(value) < 1000) return fmt::format("{:.4g}", value);
  return with_commas(fmt::format("{:.0f}", value));
}

}  // namespace attune
