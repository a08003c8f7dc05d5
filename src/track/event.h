// What a run tells the outside, as the spool keeps it: one of a few kinds, each one JSON object with its "kind".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"
#include "track/spool.h"

namespace attune {

using TextPairs = std::vector<std::pair<std::string, std::string>>;

// The run as such, once.
struct RunBegun {
  std::int64_t time_ms = 0;  // since 1970, as everywhere here
  std::string uid;           // 32 hexadecimal digits of our own: finds a run whose creation was never answered
  std::string name;
  std::string parent;  // MLflow's id of the run that this one is nested in; may be empty
  TextPairs params, tags;
};

// The run goes on in another process; the recipe is compared with what was told before.
struct RunResumed {
  std::int64_t time_ms = 0;
  TextPairs params;
};

struct DataUsed {
  std::string name, digest, source_type, source, profile;  // the last two are JSON
};

// Numbers of one step; finite, all of them.
struct Points {
  std::int64_t time_ms = 0, step = 0;
  std::vector<std::pair<std::string, double>> values;
};

struct Tags {
  TextPairs tags;
};

// A file, or a folder with all that is in it, below the run folder.
struct Artifact {
  std::string file;  // relative to the run folder
  std::string path;  // its name outside
};

// The adapter (or model) folder, below the run folder.
struct ModelMade {
  std::string folder, name, base;
  std::int64_t time_ms = 0, step = 0;
};

enum class RunStatus : std::uint8_t { kRunning, kFinished, kFailed, kKilled };
struct StatusChanged {
  RunStatus status = RunStatus::kRunning;
  std::int64_t time_ms = 0;
};

using Event = std::variant<RunBegun, RunResumed, DataUsed, Points, Tags, Artifact, ModelMade, StatusChanged>;

Json to_json(const Event& event);

// Throws BadFile for what is none; file names that lead out of the run folder are refused as well.
Event parse_event(const Json& json, const std::string& where);

// The event in a record; nullopt for one that a later version wrote.
std::optional<Event> event_of(const SpoolRecord& record);

const char* name_of(RunStatus status);  // MLflow's: "RUNNING", "FINISHED", "FAILED", "KILLED"

std::int64_t now_ms();

}  // namespace attune
