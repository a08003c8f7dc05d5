#include "hub/repo.h"

#include <algorithm>

#include "base/error.h"
#include "http/url.h"

namespace attune {
namespace {

constexpr std::size_t kLongestName = 96;

// What is wrong with a part of an id, or nothing.
std::string part_problem(std::string_view part) {
  if (part.empty()) return "a part of it is empty";
  if (part.size() > kLongestName) return "it has more than 96 characters";
  for (const char c : part) {
    const bool allowed =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
    if (!allowed) return "only letters, digits and _ . - are allowed";
  }
  if (part.front() == '-' || part.front() == '.' || part.back() == '-' || part.back() == '.') {
    return "no part may begin or end with - or .";
  }
  if (part.find("--") != part.npos || part.find("..") != part.npos) return "-- and .. are not allowed";
  return {};
}

std::string id_problem(std::string_view id) {
  const std::size_t slash = id.find('/');
  if (slash != id.npos && id.find('/', slash + 1) != id.npos) return "it has more than one /";
  if (id.ends_with(".git")) return "it may not end in .git";
  std::string problem = part_problem(slash == id.npos ? id : id.substr(0, slash));
  if (problem.empty() && slash != id.npos) problem = part_problem(id.substr(slash + 1));
  return problem;
}

}  // namespace

RepoType parse_repo_type(const std::string& text) {
  if (text == "model") return RepoType::kModel;
  if (text == "dataset") return RepoType::kDataset;
  throw UserError("[--type] expected model or dataset, got \"{}\"", text);
}

const char* type_name(RepoType type) { return type == RepoType::kModel ? "model" : "dataset"; }

bool is_repo_id(std::string_view id) { return id_problem(id).empty(); }

Repo make_repo(RepoType type, const std::string& id) {
  if (const std::string problem = id_problem(id); !problem.empty()) {
    throw UserError("[{}] expected the name of a repository such as me/my-model: {}", id, problem);
  }
  return {type, id};
}

void check_revision(const std::string& revision) {
  const auto bad = [](unsigned char c) {
    return c <= ' ' || c == 127 || std::string_view("~^:?*[\\").find(static_cast<char>(c)) != std::string_view::npos;
  };
  const bool wrong = revision.empty() || revision.size() > 255 || std::any_of(revision.begin(), revision.end(), bad) ||
                     revision.find("..") != revision.npos || revision.find("@{") != revision.npos ||
                     revision.find("//") != revision.npos || revision.front() == '/' || revision.front() == '-' ||
                     revision.front() == '.' || revision.back() == '/' || revision.back() == '.' ||
                     revision.find("/.") != revision.npos || revision.ends_with(".lock");
  if (wrong) throw UserError("[{}] expected the name of a branch, a tag or a commit, as git accepts it", revision);
}

void check_repo_path(const std::string& path, const std::string& where) {
  bool wrong = path.empty() || path.front() == '/' || path.back() == '/' || path.size() > 1024;
  for (const char c : path) wrong = wrong || static_cast<unsigned char>(c) < ' ' || c == 127 || c == '\\';
  for (std::size_t begin = 0; begin <= path.size() && !wrong;) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part(path.data() + begin, end - begin);
    wrong = part.empty() || part == "." || part == ".." || part == ".git" || part.size() > 255;
    begin = end + 1;
  }
  if (wrong) throw UserError("[{}] \"{}\" is no path that a repository may hold", where, path);
}

bool is_commit_hash(std::string_view text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::string api_path(const Repo& repo) { return fmt::format("/api/{}s/{}", type_name(repo.type), repo.id); }

std::string page_path(const Repo& repo) { return (repo.type == RepoType::kModel ? "/" : "/datasets/") + repo.id; }

std::string resolve_path(const Repo& repo, const std::string& revision, const std::string& path) {
  return fmt::format("{}/resolve/{}/{}", page_path(repo), percent_encode(revision), percent_encode(path, "/"));
}

}  // namespace attune
