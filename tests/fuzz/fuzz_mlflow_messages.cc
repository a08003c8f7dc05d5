// What an MLflow server, a Databricks workspace or something that only looks like one may answer: it is understood or
// refused with BadFile, whichever call it is the answer of.
#include <cstdint>
#include <string>

#include "base/error.h"
#include "track/databricks_auth.h"
#include "track/mlflow_messages.h"

namespace {

template <typename Read>
void attempt(const Read& read) {
  try {
    read();
  } catch (const attune::BadFile&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  attune::read_mlflow_fault(body);
  attempt([&] { attune::read_token(body); });
  attempt([&] { attune::read_token_endpoint(body); });
  attune::Json json;
  try {
    json = attune::parse_json(body, "fuzz");
  } catch (const attune::BadFile&) {
    return 0;
  }
  attempt([&] { attune::read_experiment(json); });
  attempt([&] { attune::read_experiment_id(json); });
  attempt([&] { attune::read_run(json); });
  attempt([&] { attune::read_first_run(json); });
  attempt([&] { attune::read_history(json); });
  attempt([&] { attune::read_model(json); });
  attempt([&] { attune::read_first_model(json); });
  attempt([&] { attune::read_upload_credentials(json); });
  return 0;
}
