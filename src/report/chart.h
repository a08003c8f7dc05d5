// Charts as inline SVG: no script, no external resource, colours from the page's style sheet (dark and light).
#pragma once

#include <string>
#include <vector>

#include "report/run_record.h"

namespace attune {

struct Series {
  std::string name;   // for the legend
  std::string style;  // class of the stroke: "a", "b"
  Curve curve;
};

struct LineChart {
  std::string title, note;         // note: one sentence below the title; may be empty
  std::vector<Series> series;      // empty ones are left out
  std::vector<double> boundaries;  // steps with a vertical rule: ends of epochs
  bool from_zero = false;          // the value axis starts at 0
  std::string unit;                // appended to the axis labels, e.g. "%"
};

// A <figure>; empty text when no series has a point. Long curves are thinned to what a screen can show, keeping the
// extremes.
std::string to_svg(const LineChart& chart);

struct Histogram {
  std::string title, note;
  double bin_width = 1;
  std::vector<double> counts;  // of [0, w), [w, 2w), ...
  double limit = 0;            // marked with a rule, e.g. max_length; 0: none
};
std::string to_svg(const Histogram& histogram);

// "1234.5678" -> "1,235", "0.01234" -> "0.0123": four significant digits, thousands set off.
std::string short_number(double value);

}  // namespace attune
