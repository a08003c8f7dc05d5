// The program: one file per command, errors turned into one line and an exit status here and nowhere else.
// 0 done, 2 the user's input is wrong, 1 a fault of ours, 130 interrupted.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <filesystem>
#include <new>

#include "base/error.h"
#include "base/nearest.h"
#include "cli/commands.h"
#include "ops/simd_limit.h"

namespace attune {
namespace {

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

int run(int argc, char** argv) {
  CLI::App app("attune turns your own words into a model that speaks like you.", "attune");
  app.set_version_flag("--version", "attune " ATTUNE_VERSION);
  app.require_subcommand(0, 1);
  app.footer("Start with: attune demo\nEach command explains itself: attune COMMAND --help");
  for (const auto add_command : kCommands) add_command(app);
  if (argc > 1 && argv[1][0] != '-') {
    const auto names = command_names(app);
    if (std::find(names.begin(), names.end(), argv[1]) == names.end()) {
      throw UserError("[attune] there is no command \"{}\"{}", argv[1], did_you_mean(argv[1], names));
    }
  }
  try {
    app.parse(argc, argv);  // the command runs here
    if (argc == 1) fmt::print("{}", app.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    throw UserError("[command line] {}; see attune {}--help", error.what(),
                    argc > 1 && argv[1][0] != '-' ? std::string(argv[1]) + " " : "");
  }
}

}  // namespace
}  // namespace attune

int main(int argc, char** argv) {
  try {
    attune::limit_simd_from_environment();
    return attune::run(argc, argv);
  } catch (const attune::Interrupted& error) {
    fmt::print(stderr, "attune: {}\n", error.what());
    return 130;
  } catch (const attune::UserError& error) {
    fmt::print(stderr, "attune: {}\n", error.what());
    return 2;
  } catch (const std::filesystem::filesystem_error& error) {  // a folder that may not be looked into, and the like
    fmt::print(stderr, "attune: [{}] {}\n", error.path1().string(), error.code().message());
    return 2;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "attune: [memory] this machine has no more memory to give; choose a smaller model or budget\n");
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "attune: a fault of ours: {}; please report it with the command you ran\n", error.what());
    return 1;
  }
}
