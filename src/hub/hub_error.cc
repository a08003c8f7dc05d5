#include "hub/hub_error.h"

#include <ctime>

#include "http/header_fields.h"
#include "hub/answers.h"

namespace attune {
namespace {

// The server's own words after ours, when there are any. The token never is among them: it may be echoed.
std::string server_words(const Response& response, const HubAccount& account) {
  std::string words = response.headers.get("X-Error-Message").value_or("");
  if (words.empty()) words = read_error_text(response.body);
  if (words.size() > 300) words.resize(300);
  const std::string& token = account.token.reveal();
  for (std::size_t at = 0; !token.empty() && (at = words.find(token, at)) != words.npos;)
    words.replace(at, token.size(), "[secret]");
  return words.empty() ? "" : fmt::format(" ({})", words);
}

}  // namespace

HubError hub_error(const Response& response, const HubAccount& account, const Repo& repo, const std::string& revision,
                   const std::string& action) {
  using Kind = HubError::Kind;
  const int status = response.status;
  const std::string code = response.headers.get("X-Error-Code").value_or("");
  const std::string words = server_words(response, account);
  const std::string page = account.endpoint + page_path(repo);
  const bool anonymous = account.token.empty();
  const double wait = asked_wait(response.headers, static_cast<double>(std::time(nullptr))).value_or(0);
  const auto error = [&](Kind kind, const std::string& line) {
    return HubError(kind, status, fmt::format("[{}] {}", repo.id, line), wait);
  };

  if (words.find("Invalid credentials in Authorization header") != words.npos ||
      words.find("Invalid username or password") != words.npos) {
    return error(
        Kind::kBadToken,
        anonymous ? "the Hub wants a token to " + action + "; set HF_TOKEN"
                  : std::string("the Hub does not accept the token; make a new one in its settings and set HF_TOKEN"));
  }
  if (code == "GatedRepo") {
    return error(Kind::kGated,
                 fmt::format("the {} is gated: accept its terms at {}{}, then try again", type_name(repo.type), page,
                             anonymous ? ", set HF_TOKEN to your token" : " with the account of your token"));
  }
  if (code == "RevisionNotFound") {
    return error(Kind::kRevisionMissing,
                 fmt::format("has no branch, tag or commit \"{}\"; see {}/tree/main", revision, page));
  }
  if (code == "EntryNotFound")
    return error(Kind::kEntryMissing, fmt::format("has no such file at {}{}", revision, words));
  if (code == "RepoNotFound" || status == 401 || (status == 404 && code.empty())) {
    return error(
        Kind::kRepoMissing,
        anonymous ? fmt::format("there is no such {}, or it is private; check the name, or set HF_TOKEN if it is yours",
                                type_name(repo.type))
                  : fmt::format("there is no such {} that your token may see; check the name{}", type_name(repo.type),
                                repo.type == RepoType::kModel ? ", or name --type dataset" : " and --type"));
  }
  if (status == 403) {
    return error(Kind::kForbidden,
                 fmt::format("your token may not {}{}; give it write access in the Hub's settings", action, words));
  }
  if (status == 409 || status == 412)
    return error(Kind::kConflict,
                 fmt::format("the Hub refused to {}: it conflicts with what is there{}", action, words));
  if (status == 413)
    return error(Kind::kOther, fmt::format("the Hub refused to {}: too much at once{}", action, words));
  if (status == 429 || status == 408 || status >= 500) {
    return error(Kind::kBusy,
                 fmt::format("the Hub could not {} now: it answered {}{}; try again later", action, status, words));
  }
  return error(Kind::kOther, fmt::format("the Hub refused to {}: it answered {}{}", action, status, words));
}

}  // namespace attune
