// attune sync: delivers what a run could not, hours or days later.
#include "base/interrupt.h"
#include "cli/commands.h"
#include "cli/train_hub.h"
#include "train/run_folder.h"

namespace attune {

void add_sync_command(CLI::App& app) {
  const auto run = std::make_shared<std::string>();
  CLI::App* const command = app.add_subcommand("sync", "Deliver to the Hub what a run could not");
  command->add_option("RUN", *run, "Folder of the run")->required();
  command->footer("Example: attune sync runs/pete\nNothing is delivered twice, however often it is run.");
  command->callback([run] {
    open_run_folder(*run);  // refuses what is no run
    watch_interrupts();
    sync_pushes(*run);
  });
}

}  // namespace attune
