#include "train/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace attune {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{256} << 10;
constexpr std::size_t kMaxDepth = 8;

class TreeBuilder : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const std::string& where) : where_(where) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (std::exchange(begun_, true)) fail(mark, "expected one YAML document, got a second one; remove the line ---");
  }
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark& mark, const std::string&) override { refuse_anchor(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (wants_key()) fail(mark, "expected a key, got nothing; write key: value");
    place(mark, YamlNode::Kind::kNull);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
    refuse_tag(mark, tag);
    if (wants_key()) {
      const auto& siblings = open_.back()->children;
      const auto same = std::find_if(siblings.begin(), siblings.end(), [&](auto& s) { return s.key == value; });
      if (same != siblings.end()) {
        fail(mark, fmt::format("key {} is given twice, first in line {}; remove one", value, same->line));
      }
      key_ = value;
      key_line_ = mark.line + 1;
      return;
    }
    YamlNode& node = place(mark, YamlNode::Kind::kScalar);
    node.text = value;
    node.quoted = tag == "!";
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, YamlNode::Kind::kList);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, tag, YamlNode::Kind::kMap);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapEnd() override { open_.pop_back(); }

  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& what) const {
    throw BadFile("[{}:{}] {}", where_, mark.line + 1, what);
  }

  YamlNode root;

 private:
  bool wants_key() const { return !open_.empty() && open_.back()->kind == YamlNode::Kind::kMap && !key_; }

  void open(const YAML::Mark& mark, const std::string& tag, YamlNode::Kind kind) {
    refuse_tag(mark, tag);
    if (wants_key()) fail(mark, "expected a plain key, got a list or map; write key: value");
    if (open_.size() == kMaxDepth) fail(mark, fmt::format("expected at most {} levels; flatten it", kMaxDepth));
    open_.push_back(&place(mark, kind));
  }

  // Pointers in open_ stay valid: only the innermost open node gains children.
  YamlNode& place(const YAML::Mark& mark, YamlNode::Kind kind) {
    YamlNode* node = open_.empty() ? &root : &open_.back()->children.emplace_back();
    node->kind = kind;
    node->line = key_ ? key_line_ : mark.line + 1;
    node->key = key_.value_or("");
    key_.reset();
    return *node;
  }

  void refuse_anchor(const YAML::Mark& mark) const {
    fail(mark, "expected plain YAML, got an anchor or alias (& or *); write the value out, or quote the text");
  }
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!") {
      fail(mark, "expected plain YAML, got a tag (!); remove it, or quote the text");
    }
  }

  const std::string& where_;
  bool begun_ = false;
  std::vector<YamlNode*> open_;  // the maps and lists that enclose the next event
  std::optional<std::string> key_;
  int key_line_ = 0;
};

}  // namespace

YamlNode parse_yaml(std::string_view text, const std::string& where) {
  if (text.size() > kMaxBytes) {
    throw BadFile("[{}] expected at most {} bytes of YAML, got {}; is this the right file?", where, kMaxBytes,
                  text.size());
  }
  if (!is_valid_utf8(text)) throw BadFile("[{}] expected UTF-8, got other bytes; is this the right file?", where);
  TreeBuilder builder(where);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    builder.fail(error.mark,
                 fmt::format("expected YAML, got a syntax error: {}; check indentation and quotes", error.msg));
  }
  return std::move(builder.root);
}

}  // namespace attune
