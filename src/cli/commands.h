// Every command adds itself to the program: its options, its help with an example, and what runs. One file each.
#pragma once

#include <CLI/CLI.hpp>

namespace attune {

void add_bench_command(CLI::App& app);
void add_chat_command(CLI::App& app);
void add_data_command(CLI::App& app);
void add_demo_command(CLI::App& app);
void add_doctor_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_export_command(CLI::App& app);
void add_generate_command(CLI::App& app);
void add_import_command(CLI::App& app);
void add_merge_command(CLI::App& app);
void add_plan_command(CLI::App& app);
void add_pretrain_command(CLI::App& app);
void add_pull_command(CLI::App& app);
void add_push_command(CLI::App& app);
void add_report_command(CLI::App& app);
void add_runs_command(CLI::App& app);
void add_serve_command(CLI::App& app);
void add_sync_command(CLI::App& app);
void add_synth_command(CLI::App& app);
void add_train_command(CLI::App& app);

// In the order of the help page: the path of the data.
inline constexpr auto kCommands = {
    add_demo_command,     add_import_command, add_data_command,     add_synth_command,  add_plan_command,
    add_train_command,    add_runs_command,   add_eval_command,     add_report_command, add_chat_command,
    add_generate_command, add_serve_command,  add_merge_command,    add_export_command, add_push_command,
    add_pull_command,     add_sync_command,   add_pretrain_command, add_doctor_command, add_bench_command,
};

}  // namespace attune
