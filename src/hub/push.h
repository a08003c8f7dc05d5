// `attune push`: files to a repository, as commits that happen once.
//
// prepare_push() makes up what would be sent and sends nothing; scan() (hub/scan.h) looks through it; push() sends it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "hub/api.h"
#include "hub/card.h"
#include "hub/push_files.h"

namespace attune {

struct CardOptions {
  std::string base_model, license, license_name, license_link;  // empty: as the files say
  std::vector<std::string> languages;
  fs::path run;  // the training run that the card tells of; empty: the one that the path lies in, if any
};

struct PreparedPush {
  Pushed what = Pushed::kModel;
  PushFiles files;
  bool own_card = false;           // the folder's README.md, not one of ours
  std::vector<std::string> notes;  // what the user should know before agreeing
};

// The files of `path` with a model card (the folder's own, else one written from the run) and an adapter_config.json that
// names the base model by its repository, never by a path of this machine. UserError when the card breaks a rule of
// hub/card_check.h.
PreparedPush prepare_push(const fs::path& path, const Repo& repo, const CardOptions& options);

struct PushOptions {
  std::string branch = "main";  // made from main when missing
  std::string tag;              // set on the last commit; empty: none
  std::string message;          // first line of the commit
  std::string mark;             // see CommitText; empty: a new one
  bool is_private = true;       // of a repository that is made now; one that exists keeps what it is
  std::function<void(const char* action, std::uint64_t done, std::uint64_t total)> on_progress;  // bytes
};

struct PushResult {
  std::string commit;  // the branch's head when nothing changed
  bool created = false, is_private = false;
  std::size_t changed = 0, unchanged = 0, ignored = 0;
  std::uint64_t sent_bytes = 0;  // of large files
};

// Throws as HubApi, and UserError when the card is refused by the Hub or the tag exists elsewhere. May be called again after
// any fault or kill: what has arrived is not sent twice, and with the same mark nothing is committed twice.
PushResult push(HubApi& api, const Repo& repo, const PushFiles& files, const PushOptions& options);

std::string new_mark();  // 32 random hexadecimal digits

}  // namespace attune
