#include "token/jinja/parser.h"

#include <algorithm>
#include <utility>

#include "token/jinja/expression_parser.h"

namespace attune::jinja {
namespace {

StmtPtr make_statement(StmtKind kind, int line) {
  auto node = std::make_unique<Stmt>();
  node->kind = kind;
  node->line = line;
  return node;
}

class Parser : private ExpressionParser {
 public:
  explicit Parser(std::string_view source) : ExpressionParser(source) {}

  TemplateTree run() {
    TemplateTree tree;
    tree.body = parse_body({});
    tree.constants = std::move(constants_);
    return tree;
  }

 private:
  // Until one of `ends` is the next tag (its name is then the current token), or until the end of the template.
  Body parse_body(std::initializer_list<std::string_view> ends) {
    const Recursion recursion(*this);
    Body body;
    StmtPtr output;
    const auto flush = [&] {
      if (output) body.push_back(std::move(output));
    };
    const auto add = [&](ExprPtr piece) {
      if (!output) output = make_statement(StmtKind::kOutput, piece->line);
      output->pieces.push_back(std::move(piece));
    };
    while (!is(TokenKind::kEnd)) {
      const Token token = take();
      if (token.kind == TokenKind::kData) {
        add(make_constant(token.line, constants_->string(token.text)));
      } else if (token.kind == TokenKind::kVariableBegin) {
        add(parse_tuple(true));
        expect(TokenKind::kVariableEnd, "end of print statement");
      } else {
        flush();
        if (std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return is_name(end); })) return body;
        if (StmtPtr statement = parse_statement()) body.push_back(std::move(statement));
        expect(TokenKind::kBlockEnd, "end of statement block");
      }
    }
    flush();
    if (ends.size() != 0) error("Unexpected end of template: '{}' is missing", *(ends.end() - 1));
    return body;
  }

  // The body after a tag's expression; the end tag that was found is left as the current token.
  Body parse_statements(std::initializer_list<std::string_view> ends) {
    skip_operator(":");
    expect(TokenKind::kBlockEnd, "end of statement block");
    return parse_body(ends);
  }
  Body parse_until(std::string_view end) {
    Body body = parse_statements({end});
    take();
    return body;
  }

  StmtPtr parse_statement() {
    if (!is(TokenKind::kName)) error("tag name expected");
    const Token tag = take();
    const std::string& name = tag.text;
    if (name == "for") return parse_for(tag.line);
    if (name == "if") return parse_if(tag.line);
    if (name == "set") return parse_set(tag.line);
    if (name == "macro") return parse_macro(tag.line);
    if (name == "call") return parse_call_block(tag.line);
    if (name == "with") return parse_with(tag.line);
    if (name == "print") return parse_print(tag.line);
    if (name == "filter") {
      StmtPtr node = make_statement(StmtKind::kFilterBlock, tag.line);
      node->value = parse_filter(nullptr, true);
      node->body = parse_until("endfilter");
      return node;
    }
    if (name == "generation") {
      StmtPtr node = make_statement(StmtKind::kGeneration, tag.line);
      node->body = parse_function_body("endgeneration");
      return node;
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) error("'{}' outside of a loop", name);
      return make_statement(name == "break" ? StmtKind::kBreak : StmtKind::kContinue, tag.line);
    }
    if (name == "include" || name == "import" || name == "from" || name == "extends") {
      StmtPtr node = make_statement(StmtKind::kUnavailable, tag.line);
      node->name = name;
      while (!is(TokenKind::kBlockEnd) && !is(TokenKind::kEnd)) take();
      return node;
    }
    if (name == "block" || name == "autoescape") error("the tag '{}' is not available in chat templates", name);
    error("Encountered unknown tag '{}'", name);
  }

  StmtPtr parse_for(int line) {
    StmtPtr node = make_statement(StmtKind::kFor, line);
    node->target = parse_target(false);
    expect_name("in");
    node->value = parse_tuple(false);
    if (skip_name("if")) node->condition = parse_expression();
    node->recursive = skip_name("recursive");
    ++loops_;
    node->body = parse_statements({"endfor", "else"});
    --loops_;
    if (take().text == "else") node->otherwise = parse_until("endfor");
    return node;
  }

  StmtPtr parse_if(int line) {
    StmtPtr node = make_statement(StmtKind::kIf, line);
    while (true) {
      ExprPtr condition = parse_tuple(false);
      Body body = parse_statements({"elif", "else", "endif"});
      node->branches.push_back({line, std::move(condition), std::move(body)});
      const Token end = take();
      line = end.line;
      if (end.text == "elif") continue;
      if (end.text == "else") node->branches.push_back({line, nullptr, parse_until("endif")});
      return node;
    }
  }

  StmtPtr parse_set(int line) {
    ExprPtr target = parse_target(true);
    if (skip_operator("=")) {
      StmtPtr node = make_statement(StmtKind::kSet, line);
      node->target = std::move(target);
      node->value = parse_tuple(true);
      return node;
    }
    StmtPtr node = make_statement(StmtKind::kSetBlock, line);
    node->target = std::move(target);
    node->value = parse_filter(nullptr, false);
    node->body = parse_until("endset");
    return node;
  }

  void parse_signature(Stmt& node) {
    expect_operator("(");
    while (!is_operator(")")) {
      if (!node.parameters.empty()) expect_operator(",");
      ExprPtr parameter = parse_target_name();
      parameter->use = NameUse::kParameter;
      const bool repeated = std::any_of(node.parameters.begin(), node.parameters.end(),
                                        [&](const ExprPtr& other) { return other->text == parameter->text; });
      if (repeated) error("duplicate argument '{}'", parameter->text);
      if (skip_operator("="))
        node.defaults.push_back(parse_expression());
      else if (!node.defaults.empty())
        error("non-default argument follows default argument");
      node.parameters.push_back(std::move(parameter));
    }
    expect_operator(")");
  }

  // A loop outside of a macro is not a loop that a "break" inside of it could leave.
  Body parse_function_body(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    Body body = parse_until(end);
    loops_ = loops;
    return body;
  }

  StmtPtr parse_macro(int line) {
    StmtPtr node = make_statement(StmtKind::kMacro, line);
    node->target = parse_target_name();
    node->name = node->target->text;
    parse_signature(*node);
    node->body = parse_function_body("endmacro");
    return node;
  }

  StmtPtr parse_call_block(int line) {
    StmtPtr node = make_statement(StmtKind::kCallBlock, line);
    if (is_operator("(")) parse_signature(*node);
    node->value = parse_expression();
    if (node->value->kind != ExprKind::kCall) error("expected call");
    node->body = parse_function_body("endcall");
    return node;
  }

  StmtPtr parse_with(int line) {
    StmtPtr node = make_statement(StmtKind::kWith, line);
    while (!is(TokenKind::kBlockEnd)) {
      if (!node->parameters.empty()) expect_operator(",");
      ExprPtr target = parse_target(false);
      set_use(*target, NameUse::kParameter);
      node->parameters.push_back(std::move(target));
      expect_operator("=");
      node->pieces.push_back(parse_expression());
    }
    node->body = parse_until("endwith");
    return node;
  }

  StmtPtr parse_print(int line) {
    StmtPtr node = make_statement(StmtKind::kOutput, line);
    while (!is(TokenKind::kBlockEnd)) {
      if (!node->pieces.empty()) expect_operator(",");
      node->pieces.push_back(parse_expression());
    }
    return node;
  }

  int loops_ = 0;  // around the current statement, within the current macro
};

}  // namespace

TemplateTree parse(std::string_view source) { return Parser(source).run(); }

}  // namespace attune::jinja
