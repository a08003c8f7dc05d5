#include "hub/answers.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/error.h"
#include "base/utf8.h"
#include "hub/repo.h"

namespace attune {
namespace {

constexpr std::size_t kMostParts = 100000;
constexpr std::size_t kLongestErrorText = 300;

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

std::uint64_t require_size(const Json& object, const std::string& where) {
  const auto size = json_require<std::int64_t>(object, "size", where);
  if (size < 0) throw BadFile("[{}] key \"size\": expected 0 or more, got {}", where, size);
  return static_cast<std::uint64_t>(size);
}

std::string require_hex(const Json& object, const char* key, std::size_t digits, const std::string& where) {
  std::string text = json_require<std::string>(object, key, where);
  if (!is_hex(text, digits)) throw BadFile("[{}] key \"{}\": expected {} hexadecimal digits", where, key, digits);
  return text;
}

// object[key] as a list, or an empty one when absent.
const Json& list_of(const Json& object, const char* key, const std::string& where) {
  static const Json empty = Json::array();
  if (!object.is_object()) throw BadFile("[{}] expected a JSON object", where);
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return empty;
  if (!found->is_array()) throw BadFile("[{}] key \"{}\": expected a list", where, key);
  return *found;
}

Json parse_list(std::string_view text, const std::string& where) {
  Json list = parse_json(text, where);
  if (!list.is_array()) throw BadFile("[{}] expected a JSON list", where);
  return list;
}

// A whole number, as JSON number or as text.
std::optional<std::uint64_t> number_from(const Json& value) {
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// The parts of a multipart upload: keys that are numbers, 1 to n, sorted as numbers.
std::vector<std::string> read_parts(const Json& header, std::uint64_t count, const std::string& where) {
  if (count > kMostParts) throw BadFile("[{}] {} parts are too many", where, count);
  std::vector<std::string> urls(static_cast<std::size_t>(count));
  std::size_t filled = 0;
  for (const auto& [key, value] : header.items()) {
    if (key.empty() || key.find_first_not_of("0123456789") != key.npos) continue;
    const auto number = number_from(Json(key));
    if (!number || *number < 1 || *number > count || !value.is_string() || !urls[*number - 1].empty()) {
      throw BadFile("[{}] the parts do not add up to the file", where);
    }
    urls[*number - 1] = value.get<std::string>();
    ++filled;
  }
  if (filled != count || std::find(urls.begin(), urls.end(), "") != urls.end()) {
    throw BadFile("[{}] the parts do not add up to the file", where);
  }
  return urls;
}

LfsUpload read_upload(const Json& actions, std::uint64_t size, const std::string& where) {
  if (!actions.is_object() || !actions.contains("upload")) throw BadFile("[{}] key \"upload\" is missing", where);
  const Json& action = actions.at("upload");
  LfsUpload upload;
  upload.href = json_require<std::string>(action, "href", where);
  if (const auto verify = actions.find("verify"); verify != actions.end() && !verify->is_null()) {
    upload.verify_href = json_require<std::string>(*verify, "href", where);
  }
  const auto header = action.find("header");
  if (header == action.end() || header->is_null()) return upload;
  if (!header->is_object()) throw BadFile("[{}] key \"header\": expected an object", where);
  if (const auto chunk = header->find("chunk_size"); chunk != header->end()) {
    const auto bytes = number_from(*chunk);
    if (!bytes || *bytes == 0) throw BadFile("[{}] key \"chunk_size\": expected a number of bytes", where);
    upload.part_bytes = *bytes;
    upload.part_urls = read_parts(*header, size / *bytes + (size % *bytes != 0), where);
    return upload;
  }
  for (const auto& [name, value] : header->items()) {
    const bool plain =
        value.is_string() && name.find_first_of(std::string_view("\r\n:\0 ", 5)) == name.npos &&
        value.get_ref<const std::string&>().find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
    if (!plain) throw BadFile("[{}] key \"header\": expected header fields", where);
    std::string lower = name;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (lower != "authorization" && lower != "content-length" && lower != "transfer-encoding") {
      upload.headers.emplace_back(name, value.get<std::string>());
    }
  }
  return upload;
}

}  // namespace

RepoInfo read_repo_info(std::string_view text, const std::string& where) {
  const Json json = parse_json(text, where);
  RepoInfo info;
  if (const auto sha = json_get<std::string>(json, "sha", where)) {
    if (!is_commit_hash(*sha)) throw BadFile("[{}] key \"sha\": expected a commit", where);
    info.sha = *sha;
  }
  info.is_private = json_get_or<bool>(json, "private", false, where);
  // false, or "auto" or "manual": who lets people in
  if (const auto gated = json.find("gated"); gated != json.end())
    info.gated = gated->is_string() || *gated == Json(true);
  return info;
}

std::vector<TreeFile> read_tree_page(std::string_view text, const std::string& where) {
  std::vector<TreeFile> files;
  for (const Json& entry : parse_list(text, where)) {
    if (json_require<std::string>(entry, "type", where) != "file") continue;
    TreeFile file;
    file.path = json_require<std::string>(entry, "path", where);
    check_repo_path(file.path, where);
    file.size = require_size(entry, where);
    file.oid = require_hex(entry, "oid", 40, where);
    if (const auto lfs = entry.find("lfs"); lfs != entry.end() && !lfs->is_null()) {
      file.lfs_sha256 = require_hex(*lfs, "oid", 64, where);
      file.size = require_size(*lfs, where);
    }
    files.push_back(std::move(file));
  }
  return files;
}

std::map<std::string, PreuploadAnswer> read_preupload(std::string_view text, const std::string& where) {
  const Json json = parse_json(text, where);
  std::map<std::string, PreuploadAnswer> answers;
  for (const Json& entry : list_of(json, "files", where)) {
    PreuploadAnswer answer;
    const std::string mode = json_require<std::string>(entry, "uploadMode", where);
    if (mode != "lfs" && mode != "regular") throw Unsupported("[{}] upload mode \"{}\" is not known", where, mode);
    answer.lfs = mode == "lfs";
    answer.ignored = json_get_or<bool>(entry, "shouldIgnore", false, where);
    answer.remote_oid = json_get_or<std::string>(entry, "oid", "", where);
    answers[json_require<std::string>(entry, "path", where)] = std::move(answer);
  }
  return answers;
}

std::vector<LfsObject> read_lfs_batch(std::string_view text, const std::map<std::string, std::uint64_t>& sizes,
                                      const std::string& where) {
  const Json json = parse_json(text, where);
  std::vector<LfsObject> objects;
  for (const Json& entry : list_of(json, "objects", where)) {
    LfsObject object;
    object.oid = require_hex(entry, "oid", 64, where);
    const auto asked = sizes.find(object.oid);
    if (asked == sizes.end()) throw BadFile("[{}] an answer about a file that was not asked for", where);
    object.size = asked->second;
    const auto error = entry.find("error");
    const auto actions = entry.find("actions");
    if (error != entry.end() && !error->is_null()) {
      object.error = json_get_or<std::string>(*error, "message", "no reason given", where);
    } else if (actions != entry.end() && !actions->is_null()) {
      object.upload = read_upload(*actions, object.size, where);
    }
    objects.push_back(std::move(object));
  }
  return objects;
}

CommitAnswer read_commit(std::string_view text, const std::string& where) {
  const Json json = parse_json(text, where);
  return {require_hex(json, "commitOid", 40, where), json_get_or<std::string>(json, "commitUrl", "", where)};
}

std::vector<PastCommit> read_history(std::string_view text, const std::string& where) {
  std::vector<PastCommit> commits;
  for (const Json& entry : parse_list(text, where)) {
    commits.push_back({require_hex(entry, "id", 40, where), json_get_or<std::string>(entry, "title", "", where),
                       json_get_or<std::string>(entry, "message", "", where)});
  }
  return commits;
}

Refs read_refs(std::string_view text, const std::string& where) {
  const Json json = parse_json(text, where);
  Refs refs;
  const auto read = [&](const char* key, std::vector<Ref>& into) {
    for (const Json& entry : list_of(json, key, where)) {
      into.push_back({json_require<std::string>(entry, "name", where), require_hex(entry, "targetCommit", 40, where)});
    }
  };
  read("branches", refs.branches);
  read("tags", refs.tags);
  return refs;
}

std::string read_error_text(std::string_view text) {
  std::string words;
  const auto add = [&](const Json& value) {
    if (value.is_string()) words += (words.empty() ? "" : "; ") + value.get<std::string>();
  };
  try {
    const Json json = parse_json(text, "error");
    if (!json.is_object()) return {};
    if (const auto error = json.find("error"); error != json.end()) {
      add(*error);
      if (error->is_array()) std::for_each(error->begin(), error->end(), add);
    }
    if (const auto errors = json.find("errors"); errors != json.end() && errors->is_array()) {
      for (const Json& error : *errors) {
        if (error.is_object() && error.contains("message")) add(error.at("message"));
      }
    }
    if (const auto description = json.find("error_description"); words.empty() && description != json.end())
      add(*description);
  } catch (const BadFile&) {
    return {};
  }
  std::replace_if(
      words.begin(), words.end(), [](unsigned char c) { return c < ' ' || c == 127; }, ' ');
  if (words.size() > kLongestErrorText) {
    words.resize(kLongestErrorText);
    words.resize(words.size() - incomplete_utf8_tail(words));
  }
  return words;
}

}  // namespace attune
