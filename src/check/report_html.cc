#include <fmt/format.h>

#include "base/html.h"
#include "base/progress.h"
#include "check/report.h"
#include "check/report_wording.h"

namespace attune {
namespace {

// Both colour schemes, and one column on a phone.
constexpr std::string_view kStyle =
    R"(:root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--faint:#6a737d;--line:#d8dee4;--good:#d2f4d9;
--bar:#2a7f5f;--special:#7a3fb0;--bad:#b42318;--cut:#fde2e0}
@media(prefers-color-scheme:dark){:root{--back:#14171a;--text:#e4e7ea;--faint:#8b949e;--line:#30363d;--good:#1d4a2b;
--bar:#3fa67d;--special:#c49af0;--bad:#ff8a80;--cut:#5a2522}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:60rem;padding:1rem;background:var(--back);color:var(--text);
font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.4rem}
h2{font-size:1.15rem;margin-top:2rem}
h3{font-size:1rem;color:var(--faint)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1rem}
dt{color:var(--faint)}
dd{margin:0}
@media(max-width:36rem){dl{grid-template-columns:1fr}dd{margin-bottom:.5rem}}
details{border:1px solid var(--line);border-radius:.4rem;padding:.4rem .8rem;margin:.4rem 0}
.error b{color:var(--bad)}
.histogram{width:100%;border-collapse:collapse;font-variant-numeric:tabular-nums}
.histogram th{font-weight:400;text-align:right;padding-right:.6rem;white-space:nowrap;color:var(--faint);width:1%}
.histogram td:last-child{width:1%;padding-left:.6rem;text-align:right}
.histogram div{background:var(--bar);height:1rem;border-radius:0 .2rem .2rem 0}
pre{white-space:pre-wrap;border:1px solid var(--line);border-radius:.4rem;padding:.8rem;
font:14px/1.7 ui-monospace,monospace}
.trained{background:var(--good)}
.untrained{color:var(--faint)}
.special{color:var(--special);font-weight:600}
.cut{background:var(--cut);color:var(--bad);text-decoration:line-through}
)";

}  // namespace

std::string check_html(const DataCheck& check, const CheckContext& context, const std::vector<ViewedRow>& rows) {
  const LengthSummary& l = check.lengths;
  std::string body;
  const auto fact = [&](std::string_view name, const std::string& value) {
    body += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, escape_html(value));
  };
  body += fmt::format("<h1>{}</h1>\n<dl>\n", escape_html(context.data));
  fact("Conversations",
       fmt::format("{} to learn from, {} held out", with_commas(check.train), with_commas(check.valid)));
  fact("Tokenizer", fmt::format("{}, vocabulary {}; a turn ends with {}", context.model,
                                with_commas(context.vocabulary), context.stops));
  fact("An epoch", epoch_sentence(check));
  fact("Steps", fmt::format("{} with {}", with_commas(context.steps), context.recipe));
  fact("max_length", cut_sentence(check));
  for (const LanguageShare& share : check.languages) fact(escape_html(share.language), language_sentence(share));
  body += "</dl>\n<h2>Problems</h2>\n";
  if (check.problems.errors() + check.problems.warnings() == 0) body += "<p>None.</p>\n";
  for (std::size_t i = 0; i < kProblems; ++i) {
    const auto& count = check.problems.of[i];
    if (count.rows == 0) continue;
    const auto problem = static_cast<Problem>(i);
    body += fmt::format("<details class=\"{0}\"><summary><b>{0}</b> {1}</summary><ul>\n",
                        is_error(problem) ? "error" : "warning", escape_html(problem_sentence(problem, count.rows)));
    for (const std::string& where : count.first) body += fmt::format("<li>{}</li>\n", escape_html(where));
    if (count.rows > count.first.size())
      body += fmt::format("<li>and {} more</li>\n", with_commas(count.rows - count.first.size()));
    body += "</ul></details>\n";
  }
  body += fmt::format("<h2>Length in tokens</h2>\n<p>{}.</p>\n<table class=\"histogram\">\n", length_sentence(l));
  for (const auto& bin : l.histogram) {
    body += fmt::format("<tr><th>{}</th><td><div style=\"width:{:.1f}%\"></div></td><td>{}</td></tr>\n", range_of(bin),
                        100 * static_cast<double>(bin.rows) / static_cast<double>(tallest(l)), with_commas(bin.rows));
  }
  body +=
      "</table>\n<h2>What is trained on</h2>\n<p class=\"legend\"><span class=\"token trained\">trained</span> "
      "<span class=\"token untrained\">untrained</span> <span class=\"token untrained special\">special</span> "
      "<span class=\"token trained special\">special, trained</span> <span class=\"token cut\">cut</span></p>\n";
  for (const ViewedRow& row : rows) {
    body += fmt::format("<h3>{}</h3>\n<pre>{}</pre>\n", escape_html(row.title), mask_html(row.tokens));
  }
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width,initial-scale=1\">\n<title>attune data check: {}</title>\n<style>\n{}"
      "</style>\n</head>\n<body>\n{}</body>\n</html>\n",
      escape_html(context.data), kStyle, body);
}

}  // namespace attune
