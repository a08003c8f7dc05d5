#include "token/jinja/expression_parser.h"

#include <algorithm>

namespace attune::jinja {
namespace {

// Deeper expressions would overflow the stack of whoever walks the tree.
constexpr int kMaxDepth = 150;
constexpr std::size_t kMaxConstants = std::size_t{64} << 20;

}  // namespace

ExpressionParser::ExpressionParser(std::string_view source)
    : TokenCursor(tokenize(source)), constants_(std::make_unique<Heap>(kMaxConstants)) {}

// -- Nodes

ExprPtr ExpressionParser::make(ExprKind kind, int line, std::vector<ExprPtr> children) {
  auto node = std::make_unique<Expr>();
  node->kind = kind;
  node->line = line;
  node->children = std::move(children);
  measure(*node);
  return node;
}

void ExpressionParser::measure(Expr& node) const {
  const auto add = [&](const ExprPtr& child) {
    if (child) node.depth = std::max(node.depth, child->depth + 1);
  };
  std::for_each(node.children.begin(), node.children.end(), add);
  for (const Keyword& keyword : node.keywords) add(keyword.value);
  add(node.star);
  add(node.double_star);
  if (node.depth > kMaxDepth) error("an expression is nested deeper than {} levels", kMaxDepth);
}

ExprPtr ExpressionParser::make_constant(int line, Value value) {
  ExprPtr node = make(ExprKind::kConstant, line);
  node->constant = value;
  return node;
}

ExprPtr ExpressionParser::make_named(ExprKind kind, int line, std::string name, std::vector<ExprPtr> children) {
  ExprPtr node = make(kind, line, std::move(children));
  node->constant = constants_->string(name);
  node->text = std::move(name);
  return node;
}

// -- Assignment targets

void ExpressionParser::set_use(Expr& target, NameUse use) {
  target.use = use;
  for (const ExprPtr& child : target.children) set_use(*child, use);
}

bool ExpressionParser::is_reserved(std::string_view name) const {
  return name == "true" || name == "false" || name == "none" || name == "True" || name == "False" || name == "None";
}

void ExpressionParser::check_target(const Expr& target) const {
  const bool tuple = target.kind == ExprKind::kTuple;
  if (target.kind != ExprKind::kName && target.kind != ExprKind::kNamespaceRef && !tuple) error("can't assign to this");
  for (const ExprPtr& child : target.children) check_target(*child);
}

ExprPtr ExpressionParser::parse_target_name() {
  const Token token = expect(TokenKind::kName, "name");
  if (is_reserved(token.text)) error("can't assign to '{}'", token.text);
  ExprPtr target = make_named(ExprKind::kName, token.line, token.text);
  target->use = NameUse::kStore;
  return target;
}

ExprPtr ExpressionParser::parse_target(bool with_namespace) {
  const int line = now().line;
  std::vector<ExprPtr> items;
  bool tuple = false;
  while (true) {
    if (!items.empty()) expect_operator(",");
    if (tuple_ends()) break;
    items.push_back(parse_primary(with_namespace));
    if (!is_operator(",")) break;
    tuple = true;
  }
  if (items.empty()) error("Expected an expression, got '{}'", describe(now()));
  ExprPtr target = tuple ? make(ExprKind::kTuple, line, std::move(items)) : std::move(items[0]);
  check_target(*target);
  set_use(*target, NameUse::kStore);
  return target;
}

// -- Expressions

ExprPtr ExpressionParser::parse_tuple(bool with_conditional, bool parentheses) {
  const int line = now().line;
  std::vector<ExprPtr> items;
  bool tuple = false;
  while (true) {
    if (!items.empty()) expect_operator(",");
    if (tuple_ends()) break;
    items.push_back(parse_expression(with_conditional));
    if (!is_operator(",")) break;
    tuple = true;
  }
  if (!tuple && !items.empty()) return std::move(items[0]);
  if (!tuple && !parentheses) error("Expected an expression, got '{}'", describe(now()));
  return fold(make(ExprKind::kTuple, line, std::move(items)));
}

ExprPtr ExpressionParser::parse_expression(bool with_conditional) {
  const Recursion recursion(*this);
  return with_conditional ? parse_conditional() : parse_or();
}

ExprPtr ExpressionParser::parse_conditional() {
  const int line = now().line;
  ExprPtr node = parse_or();
  while (skip_name("if")) {
    ExprPtr condition = parse_or();
    ExprPtr otherwise;
    if (skip_name("else")) {
      const Recursion recursion(*this);
      otherwise = parse_conditional();
    }
    node = make_of(ExprKind::kConditional, line, std::move(condition), std::move(node), std::move(otherwise));
  }
  return node;
}

ExprPtr ExpressionParser::parse_or() {
  const int line = now().line;
  ExprPtr left = parse_and();
  while (skip_name("or")) left = make_of(ExprKind::kOr, line, std::move(left), parse_and());
  return left;
}

ExprPtr ExpressionParser::parse_and() {
  const int line = now().line;
  ExprPtr left = parse_not();
  while (skip_name("and")) left = make_of(ExprKind::kAnd, line, std::move(left), parse_not());
  return left;
}

ExprPtr ExpressionParser::parse_not() {
  const int line = now().line;
  if (!skip_name("not")) return parse_compare();
  const Recursion recursion(*this);
  return make_of(ExprKind::kNot, line, parse_not());
}

ExprPtr ExpressionParser::parse_compare() {
  static constexpr std::pair<std::string_view, Comparison> kOperators[] = {
      {"==", Comparison::kEqual},     {"!=", Comparison::kNotEqual}, {"<", Comparison::kLess},
      {"<=", Comparison::kLessEqual}, {">", Comparison::kGreater},   {">=", Comparison::kGreaterEqual}};
  const int line = now().line;
  std::vector<ExprPtr> operands;
  std::vector<Comparison> comparisons;
  operands.push_back(parse_sum());
  while (true) {
    const auto* found = std::find_if(std::begin(kOperators), std::end(kOperators),
                                     [&](const auto& row) { return is_operator(row.first); });
    if (found != std::end(kOperators)) {
      comparisons.push_back(found->second);
    } else if (is_name("in")) {
      comparisons.push_back(Comparison::kIn);
    } else if (is_name("not") && is_name(look(), "in")) {
      take();
      comparisons.push_back(Comparison::kNotIn);
    } else {
      break;
    }
    take();
    operands.push_back(parse_sum());
  }
  if (comparisons.empty()) return std::move(operands[0]);
  ExprPtr node = make(ExprKind::kCompare, line, std::move(operands));
  node->comparisons = std::move(comparisons);
  return node;
}

ExprPtr ExpressionParser::parse_sum() {
  const int line = now().line;
  ExprPtr left = parse_concat();
  while (is_operator("+") || is_operator("-")) {
    const ExprKind kind = take().text == "+" ? ExprKind::kAdd : ExprKind::kSubtract;
    left = make_of(kind, line, std::move(left), parse_concat());
  }
  return left;
}

ExprPtr ExpressionParser::parse_concat() {
  const int line = now().line;
  std::vector<ExprPtr> parts;
  do parts.push_back(parse_product());
  while (skip_operator("~"));
  return parts.size() == 1 ? std::move(parts[0]) : make(ExprKind::kConcat, line, std::move(parts));
}

ExprPtr ExpressionParser::parse_product() {
  const int line = now().line;
  ExprPtr left = parse_power();
  while (is_operator("*") || is_operator("/") || is_operator("//") || is_operator("%")) {
    const std::string text = take().text;
    const ExprKind kind = text == "*"   ? ExprKind::kMultiply
                          : text == "/" ? ExprKind::kDivide
                          : text == "%" ? ExprKind::kModulo
                                        : ExprKind::kFloorDivide;
    left = make_of(kind, line, std::move(left), parse_power());
  }
  return left;
}

ExprPtr ExpressionParser::parse_power() {
  const int line = now().line;
  ExprPtr left = parse_unary(true);
  while (skip_operator("**")) left = make_of(ExprKind::kPower, line, std::move(left), parse_unary(true));
  return left;
}

ExprPtr ExpressionParser::parse_unary(bool with_filter) {
  const Recursion recursion(*this);
  const int line = now().line;
  ExprPtr node;
  if (skip_operator("-"))
    node = make_of(ExprKind::kNegative, line, parse_unary(false));
  else if (skip_operator("+"))
    node = make_of(ExprKind::kPositive, line, parse_unary(false));
  else
    node = parse_primary(false);
  node = parse_postfix(std::move(node));
  return with_filter ? parse_filters_and_tests(std::move(node)) : std::move(node);
}

ExprPtr ExpressionParser::parse_primary(bool with_namespace) {
  const Recursion recursion(*this);
  const Token token = now();
  if (token.kind == TokenKind::kName) {
    take();
    if (token.text == "true" || token.text == "True") return make_constant(token.line, Value::of(true));
    if (token.text == "false" || token.text == "False") return make_constant(token.line, Value::of(false));
    if (token.text == "none" || token.text == "None") return make_constant(token.line, Value::none());
    if (with_namespace && skip_operator(".")) {
      const Token attribute = expect(TokenKind::kName, "name");
      ExprPtr node = make_named(ExprKind::kNamespaceRef, token.line, token.text);
      node->constant = constants_->string(attribute.text);
      return node;
    }
    return make_named(ExprKind::kName, token.line, token.text);
  }
  if (token.kind == TokenKind::kString) {
    std::string text;
    while (is(TokenKind::kString)) text += take().text;
    return make_constant(token.line, constants_->string(text));
  }
  if (token.kind == TokenKind::kInteger) return take(), make_constant(token.line, Value::of(token.integer));
  if (token.kind == TokenKind::kFloat) return take(), make_constant(token.line, Value::of(token.real));
  if (skip_operator("(")) {
    ExprPtr node = parse_tuple(true, true);
    expect_operator(")");
    return node;
  }
  if (skip_operator("[")) {
    ExprPtr node =
        make(ExprKind::kList, token.line, parse_items("]", [&](auto& items) { items.push_back(parse_expression()); }));
    return fold(std::move(node));
  }
  if (skip_operator("{")) {
    return make(ExprKind::kDict, token.line, parse_items("}", [&](auto& items) {
                  items.push_back(parse_expression());
                  expect_operator(":");
                  items.push_back(parse_expression());
                }));
  }
  error("unexpected '{}'", describe(token));
}

ExprPtr ExpressionParser::fold(ExprPtr node) {
  std::vector<Value> values;
  for (const ExprPtr& child : node->children) {
    if (child->kind != ExprKind::kConstant) return node;
    values.push_back(child->constant);
  }
  const bool tuple = node->kind == ExprKind::kTuple;
  return make_constant(node->line, tuple ? constants_->tuple(std::move(values)) : constants_->list(std::move(values)));
}

}  // namespace attune::jinja
