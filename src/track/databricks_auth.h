// Who we are to Databricks: DATABRICKS_TOKEN, or OAuth for machines with DATABRICKS_CLIENT_ID and
// DATABRICKS_CLIENT_SECRET (client credentials, RFC 6749 section 4.4). From the environment and nowhere else.
#pragma once

#include <memory>
#include <string>

#include "track/mlflow_api.h"

namespace attune {

// "https://..." from DATABRICKS_HOST, without a slash at its end. UserError when it is not set.
std::string databricks_host();

// UserError when the environment has neither a token nor a client's id and secret.
std::unique_ptr<Authorization> databricks_authorization(const std::string& host);

// MLFLOW_TRACKING_USERNAME with _PASSWORD (Basic; it wins), or MLFLOW_TRACKING_TOKEN (Bearer), or nothing.
std::unique_ptr<Authorization> mlflow_authorization();

struct OauthToken {
  std::string token;
  double seconds = 0;  // until it expires
};
std::string read_token_endpoint(const std::string& body);  // of the discovery document; BadFile
OauthToken read_token(const std::string& body);            // of the token's answer; BadFile

}  // namespace attune
