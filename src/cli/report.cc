// attune report: a run's folder becomes one HTML file.
#include "report/report.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/file.h"
#include "cli/commands.h"
#include "track/stored_run.h"

namespace attune {
namespace {

struct ReportArguments {
  std::string run, output;
};

void run_report(const ReportArguments& options) {
  RunRecord record = read_run_record(options.run);
  // A run that was killed left the status of its last moment behind; nobody holds its lock.
  if (read_run(options.run).status == "killed") record.info["status"] = "killed";
  const fs::path output = options.output.empty() ? fs::path(options.run) / "report.html" : fs::path(options.output);
  write_file_atomic(output, html_report(record));
  fmt::print("{}\n", output.string());
}

}  // namespace

void add_report_command(CLI::App& app) {
  const auto options = std::make_shared<ReportArguments>();
  CLI::App* const command = app.add_subcommand("report", "A run as one HTML file with its pictures");
  command->add_option("run", options->run, "Folder of the run, finished or not")->required();
  command->add_option("-o,--output", options->output, "File to write; RUN/report.html when not given");
  command->footer("Example: attune report runs/pete");
  command->callback([options] { run_report(*options); });
}

}  // namespace attune
