// What can follow a value in an expression: attributes, subscripts, calls, filters and tests.
#include <algorithm>
#include <utility>

#include "token/jinja/builtins.h"
#include "token/jinja/expression_parser.h"

namespace attune::jinja {

ExprPtr ExpressionParser::parse_postfix(ExprPtr node) {
  while (true) {
    if (is_operator(".") || is_operator("["))
      node = parse_subscript(std::move(node));
    else if (is_operator("("))
      node = parse_call(std::move(node));
    else
      return node;
  }
}

ExprPtr ExpressionParser::parse_filters_and_tests(ExprPtr node) {
  while (true) {
    if (is_operator("|"))
      node = parse_filter(std::move(node), false);
    else if (is_name("is"))
      node = parse_test(std::move(node));
    else if (is_operator("("))
      node = parse_call(std::move(node));
    else
      return node;
  }
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr object) {
  const Token token = take();
  if (token.text == ".") {
    const Token name = take();
    if (name.kind == TokenKind::kName) {
      std::vector<ExprPtr> children;
      children.push_back(std::move(object));
      return make_named(ExprKind::kGetAttribute, token.line, name.text, std::move(children));
    }
    if (name.kind != TokenKind::kInteger) error("expected name or number");
    return make_of(ExprKind::kGetItem, token.line, std::move(object),
                   make_constant(name.line, Value::of(name.integer)));
  }
  std::vector<ExprPtr> keys;
  while (!is_operator("]")) {
    if (!keys.empty()) expect_operator(",");
    keys.push_back(parse_subscribed());
  }
  expect_operator("]");
  if (keys.size() == 1) return make_of(ExprKind::kGetItem, token.line, std::move(object), std::move(keys[0]));
  for (const ExprPtr& key : keys) {
    if (key->kind == ExprKind::kSlice) error("a slice cannot be part of a tuple");
  }
  return make_of(ExprKind::kGetItem, token.line, std::move(object),
                 fold(make(ExprKind::kTuple, token.line, std::move(keys))));
}

ExprPtr ExpressionParser::parse_subscribed() {
  const int line = now().line;
  ExprPtr start, stop, step;
  if (!is_operator(":")) {
    start = parse_expression();
    if (!is_operator(":")) return start;
  }
  take();
  if (!is_operator(":") && !is_operator("]") && !is_operator(",")) stop = parse_expression();
  if (skip_operator(":") && !is_operator("]") && !is_operator(",")) step = parse_expression();
  return make_of(ExprKind::kSlice, line, std::move(start), std::move(stop), std::move(step));
}

void ExpressionParser::parse_arguments(Expr& node) {
  expect_operator("(");
  const auto ensure = [&](bool valid) {
    if (!valid) error("invalid syntax for function call expression");
  };
  bool first = true;
  while (!is_operator(")")) {
    if (!std::exchange(first, false)) {
      expect_operator(",");
      if (is_operator(")")) break;
    }
    if (skip_operator("*")) {
      ensure(!node.star && !node.double_star);
      node.star = parse_expression();
    } else if (skip_operator("**")) {
      ensure(!node.double_star);
      node.double_star = parse_expression();
    } else if (is(TokenKind::kName) && is_operator(look(), "=")) {
      ensure(!node.double_star);
      const std::string name = take().text;
      take();
      const bool repeated = std::any_of(node.keywords.begin(), node.keywords.end(),
                                        [&](const Keyword& other) { return other.name == name; });
      if (repeated) error("keyword argument repeated: {}", name);
      node.keywords.push_back({name, parse_expression()});
    } else {
      ensure(!node.star && !node.double_star && node.keywords.empty());
      node.children.push_back(parse_expression());
    }
  }
  expect_operator(")");
  measure(node);
}

ExprPtr ExpressionParser::parse_call(ExprPtr callee) {
  ExprPtr node = make_of(ExprKind::kCall, now().line, std::move(callee));
  parse_arguments(*node);
  return node;
}

std::string ExpressionParser::parse_dotted_name() {
  std::string name = expect(TokenKind::kName, "name").text;
  while (skip_operator(".")) (name += '.') += expect(TokenKind::kName, "name").text;
  return name;
}

ExprPtr ExpressionParser::parse_filter(ExprPtr node, bool inline_start) {
  while (inline_start || is_operator("|")) {
    if (!inline_start) take();
    inline_start = false;
    const int line = now().line;
    std::vector<ExprPtr> children;
    children.push_back(std::move(node));
    const std::string name = parse_dotted_name();
    node = make_named(ExprKind::kFilter, line, name, std::move(children));
    node->filter = find_filter(name);
    if (is_operator("(")) parse_arguments(*node);
  }
  return node;
}

ExprPtr ExpressionParser::parse_test(ExprPtr input) {
  const int line = take().line;
  const bool negated = skip_name("not");
  std::vector<ExprPtr> children;
  children.push_back(std::move(input));
  const std::string name = parse_dotted_name();
  ExprPtr node = make_named(ExprKind::kTest, line, name, std::move(children));
  node->test = find_test(name);
  const TokenKind kind = now().kind;
  const bool literal = kind == TokenKind::kString || kind == TokenKind::kInteger || kind == TokenKind::kFloat ||
                       is_operator("[") || is_operator("{");
  const bool name_follows = kind == TokenKind::kName && !is_name("else") && !is_name("or") && !is_name("and");
  if (is_operator("(")) {
    parse_arguments(*node);
  } else if (literal || name_follows) {
    if (is_name("is")) error("You cannot chain multiple tests with is");
    node->children.push_back(parse_postfix(parse_primary(false)));
    measure(*node);
  }
  return negated ? make_of(ExprKind::kNot, line, std::move(node)) : std::move(node);
}

}  // namespace attune::jinja
