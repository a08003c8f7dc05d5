#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/html.h"
#include "base/progress.h"
#include "report/chart.h"
#include "report/style.h"

namespace attune {
namespace {

// info[a][b]... as a number; NaN when it is not there.
template <typename... Keys>
double number(const Json& json, Keys... keys) {
  const Json* at = &json;
  for (const char* key : {keys...}) {
    if (!at->is_object() || !at->contains(key)) return std::nan("");
    at = &(*at)[key];
  }
  return at->is_number() ? at->get<double>() : std::nan("");
}

std::string text_of(const Json& json, const char* key) {
  if (!json.is_object() || !json.contains(key)) return {};
  const Json& value = json[key];
  if (value.is_string()) return value.get<std::string>();
  std::string joined;
  if (value.is_array()) {
    for (const Json& item : value)
      joined += (joined.empty() ? "" : ", ") + (item.is_string() ? item.get<std::string>() : item.dump());
    return joined;
  }
  return value.dump();
}

// One figure of the summary; left out when it is not known.
void card(std::string& page, const std::string& name, const std::string& value, const std::string& note = "") {
  if (value.empty()) return;
  page += fmt::format("<div><dt>{}</dt><dd>{}{}</dd></div>", escape_html(name), escape_html(value),
                      note.empty() ? "" : "<small>" + escape_html(note) + "</small>");
}

std::string bytes(double value) { return std::isfinite(value) ? format_bytes(value) : std::string(); }

std::string change(double before, double after) {
  if (!std::isfinite(after)) return {};
  return std::isfinite(before) ? fmt::format("{} → {}", short_number(before), short_number(after))
                               : short_number(after);
}

std::string duration(double seconds) { return std::isfinite(seconds) ? format_duration(seconds) : std::string(); }

void summary(std::string& page, const RunRecord& run) {
  const Json& info = run.info;
  page += "<dl class=\"cards\">";
  const double before = run.eval_loss.empty() ? number(info, "eval_loss", "before") : run.eval_loss.front().value;
  const double after = run.eval_loss.empty() ? number(info, "eval_loss", "after") : run.eval_loss.back().value;
  card(page, "Held-out loss", change(before, after),
       std::isfinite(before) && std::isfinite(after) ? "perplexity " + change(std::exp(before), std::exp(after)) : "");
  if (!run.loss.empty()) card(page, "Training loss", short_number(run.loss.back().value), "last step");
  card(page, "Steps",
       run.total_steps > 0 ? fmt::format("{} of {}", short_number(run.last_step), short_number(run.total_steps))
                           : short_number(run.last_step));
  card(page, "Time in steps", duration(number(info, "seconds")));
  const double speed = number(info, "tokens_per_second"), sol = number(info, "sol");
  if (std::isfinite(speed)) {
    card(page, "Speed", short_number(speed) + " tokens/s",
         std::isfinite(sol) ? fmt::format("{:.0f}% of what this machine can multiply", sol * 100) : "");
  }
  card(page, "Memory planned", bytes(number(info, "planned_bytes", "total")));
  card(page, "Memory measured", bytes(number(info, "measured_peak_bytes")), "peak of the process");
  const double trained = number(info, "parameters", "trained"), all = number(info, "parameters", "all");
  if (trained > 0 && all > 0) {
    card(page, "Parameters trained", short_number(trained),
         fmt::format("{:.2f}% of {}", 100 * trained / all, short_number(all)));
  }
  const double rows = number(info, "conversations", "train"), tokens = number(info, "tokens_per_epoch", "all");
  if (std::isfinite(rows)) {
    card(page, "Conversations", short_number(rows),
         fmt::format("{} held out", short_number(number(info, "conversations", "valid"))));
  }
  if (std::isfinite(tokens)) {
    card(page, "Tokens an epoch", short_number(tokens),
         fmt::format("{} trained on", short_number(number(info, "tokens_per_epoch", "trained"))));
  }
  const double forgetting = number(run.eval, "forgetting", "loss_increase");
  if (std::isfinite(forgetting)) {
    card(
        page, "Forgetting", fmt::format("{:+.1f}%", forgetting * 100),
        fmt::format("loss on general text or answers; budget {:.1f}%", 100 * number(run.eval, "forgetting", "budget")));
  }
  page += "</dl>\n";
}

Curve percent(Curve curve) {
  for (Point& point : curve) point.value *= 100;
  return curve;
}

Histogram lengths(const Json& info) {
  Histogram histogram;
  histogram.title = "Length of a conversation in tokens";
  histogram.bin_width = number(info, "lengths", "bin");
  if (!(histogram.bin_width > 0) || !info["lengths"].contains("counts")) return {};
  for (const Json& count : info["lengths"]["counts"])
    histogram.counts.push_back(count.is_number() ? count.get<double>() : 0);
  const double limit = number(info, "lengths", "max_length"), cut = number(info, "cut", "rows");
  histogram.limit =
      std::isfinite(limit) && limit < 1.5 * histogram.bin_width * static_cast<double>(histogram.counts.size()) ? limit
                                                                                                               : 0;
  histogram.note = cut > 0 ? fmt::format("{} conversations were longer than {} tokens and cut", short_number(cut),
                                         short_number(limit))
                           : "none is cut";
  return histogram;
}

void charts(std::string& page, const RunRecord& run) {
  page += "<h2>Course</h2><div class=\"charts\">\n";
  const std::string epochs = run.epoch_ends.empty() ? "" : "dashed: an epoch ends";
  page += to_svg(LineChart{"Loss by step",
                           epochs,
                           {{"training", "a", run.loss}, {"held out", "b", run.eval_loss}},
                           run.epoch_ends,
                           false,
                           ""});
  page += to_svg(LineChart{"Style: distance from the person's answers",
                           "0 alike, 1 nothing in common; a few held-out answers",
                           {{"distance", "a", run.style_distance}, {"end by themselves", "b", run.end_of_turn}},
                           run.epoch_ends,
                           true,
                           ""});
  page += to_svg(LineChart{"Forgetting: rise of the loss on general words",
                           "a few passages and questions",
                           {{"rise", "a", percent(run.forgetting)}},
                           run.epoch_ends,
                           true,
                           "%"});
  page += to_svg(LineChart{
      "KL to the base on general text", "nats a token", {{"KL", "a", run.forgetting_kl}}, run.epoch_ends, true, ""});
  page += to_svg(LineChart{"Learning rate", "", {{"learning rate", "a", run.learning_rate}}, run.epoch_ends, true, ""});
  page += to_svg(
      LineChart{"Gradient norm", "before clipping", {{"norm", "a", run.gradient_norm}}, run.epoch_ends, true, ""});
  page += to_svg(LineChart{"Tokens per second", "", {{"tokens/s", "a", run.tokens_per_second}}, {}, true, ""});
  page += to_svg(
      LineChart{"Share of this machine's matrix speed (SOL)", "", {{"SOL", "a", percent(run.sol)}}, {}, true, "%"});
  page += to_svg(lengths(run.info));
  page += "</div>\n";
}

void memory(std::string& page, const Json& info) {
  if (!info.contains("planned_bytes") || !info["planned_bytes"].is_object()) return;
  page += "<h2>Memory</h2><div class=\"scroll\"><table><tr><th>planned for</th><th class=\"n\">bytes</th></tr>";
  for (const auto& [name, value] : info["planned_bytes"].items()) {
    std::string label = name;
    std::replace(label.begin(), label.end(), '_', ' ');
    page += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td></tr>", escape_html(label),
                        bytes(value.is_number() ? value.get<double>() : NAN));
  }
  const std::string measured = bytes(number(info, "measured_peak_bytes"));
  if (!measured.empty())
    page +=
        fmt::format("<tr><td>measured at the peak, the program included</td><td class=\"n\">{}</td></tr>", measured);
  page += "</table></div>\n";
}

// What attune eval found: its table, which it has written ready to be shown, and its verdict.
void evaluation(std::string& page, const Json& eval) {
  if (!eval.is_object() || !eval.contains("table") || !eval["table"].is_array() || eval["table"].empty()) return;
  page += "<h2>Evaluation</h2>";
  if (eval.contains("verdict")) page += "<p>" + escape_html(text_of(eval["verdict"], "text")) + "</p>";
  page +=
      "<div class=\"scroll\"><table><tr><th></th><th class=\"n\">base</th><th class=\"n\">tuned</th><th "
      "class=\"n\">person</th></tr>";
  for (const Json& row : eval["table"]) {
    if (!row.is_array()) continue;
    page += "<tr>";
    for (std::size_t column = 0; column < row.size(); ++column) {
      page += fmt::format("<td{}>{}</td>", column > 0 ? " class=\"n\"" : "",
                          escape_html(row[column].is_string() ? row[column].get<std::string>() : row[column].dump()));
    }
    page += "</tr>";
  }
  page += "</table></div>\n";
}

bool has_samples(const Json& json) {
  return json.is_object() && json.contains("samples") && json["samples"].is_array() && !json["samples"].empty();
}

// Those of attune eval; without one, the few that were given while the run trained.
void samples(std::string& page, const RunRecord& run) {
  const bool evaluated = has_samples(run.eval);
  if (!evaluated && !has_samples(run.samples)) return;
  page += "<h2>Answers before and after</h2>";
  if (!evaluated) {
    const double step = number(run.samples, "step");
    page += "<p>to a few held-out prompts, before the first step" +
            (step > 0 ? " and at step " + short_number(step) : std::string()) + "</p>";
  }
  page += "<div class=\"scroll\"><table><tr><th>prompt</th><th>base</th><th>tuned</th><th>person</th></tr>";
  for (const Json& sample : (evaluated ? run.eval : run.samples)["samples"]) {
    page += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", escape_html(text_of(sample, "prompt")),
                        escape_html(text_of(sample, "base")), escape_html(text_of(sample, "tuned")),
                        escape_html(text_of(sample, "person")));
  }
  page += "</table></div>\n";
}

void environment(std::string& page, const RunRecord& run) {
  page +=
      "<h2>Recipe</h2><pre>" + escape_html(run.recipe) + "</pre>\n<h2>Environment</h2><div class=\"scroll\"><table>";
  const auto row = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) page += fmt::format("<tr><th>{}</th><td>{}</td></tr>", escape_html(name), escape_html(value));
  };
  row("data digest (SHA-256)", text_of(run.info, "data_sha256"));
  if (run.info.contains("versions") && run.info["versions"].is_object()) {
    for (const auto& [name, value] : run.info["versions"].items())
      row(name, text_of(run.info["versions"], name.c_str()));
  }
  const double peak = number(run.info, "gemm_peak_gflops");
  if (std::isfinite(peak)) row("matrix products", fmt::format("{} GFLOP/s", short_number(peak)));
  page += "</table></div>\n";
}

}  // namespace

std::string html_report(const RunRecord& run) {
  const std::string status = run.info.contains("status") ? text_of(run.info, "status") : "starting";
  std::string page = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width,"
      "initial-scale=1\"><title>{0} - attune</title><style>{1}</style></head>\n<body><main><header><h1>{0}</h1>"
      "<p><span class=\"state {2}\">{2}</span> · base {3} · data {4}</p></header>\n",
      escape_html(run.name), kReportStyle, escape_html(status), escape_html(text_of(run.info, "model")),
      escape_html(text_of(run.info, "data")));
  summary(page, run);
  charts(page, run);
  evaluation(page, run.eval);
  samples(page, run);
  memory(page, run.info);
  environment(page, run);
  return page + "</main><script>" + kLiveScript + "</script></body></html>\n";
}

}  // namespace attune
