// The grammar of expressions and assignment targets; parser.cc adds statements.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "token/jinja/ast.h"
#include "token/jinja/token_cursor.h"

namespace attune::jinja {

class ExpressionParser : protected TokenCursor {
 protected:
  explicit ExpressionParser(std::string_view source);

  // -- Assignment targets
  static void set_use(Expr& target, NameUse use);
  bool is_reserved(std::string_view name) const;
  void check_target(const Expr& target) const;
  ExprPtr parse_target_name();
  // One name, or a tuple of them.
  ExprPtr parse_target(bool with_namespace);

  // -- Expressions
  bool tuple_ends() const { return is(TokenKind::kVariableEnd) || is(TokenKind::kBlockEnd) || is_operator(")"); }
  ExprPtr parse_tuple(bool with_conditional, bool parentheses = false);
  ExprPtr parse_expression(bool with_conditional = true);
  ExprPtr parse_conditional();
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  // Like jinja2's generated code: the operands are unary expressions and ** itself is Python's, so a ** b ** c
  // groups as (a ** b) ** c.
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filter);
  ExprPtr parse_primary(bool with_namespace);
  std::vector<ExprPtr> parse_items(std::string_view close, auto parse_item) {
    std::vector<ExprPtr> items;
    while (!is_operator(close)) {
      if (!items.empty()) expect_operator(",");
      if (is_operator(close)) break;
      parse_item(items);
    }
    expect_operator(close);
    return items;
  }
  // A list or tuple of constants is made once.
  ExprPtr fold(ExprPtr node);
  ExprPtr parse_postfix(ExprPtr node);
  ExprPtr parse_filters_and_tests(ExprPtr node);
  ExprPtr parse_subscript(ExprPtr object);
  ExprPtr parse_subscribed();
  // "(arguments)" into `node`, whose first child is already there.
  void parse_arguments(Expr& node);
  ExprPtr parse_call(ExprPtr callee);
  std::string parse_dotted_name();
  // Filters from the current token on; `inline_start`: the first one has no "|" before it.
  ExprPtr parse_filter(ExprPtr node, bool inline_start);
  ExprPtr parse_test(ExprPtr input);

  // -- Nodes
  ExprPtr make(ExprKind kind, int line, std::vector<ExprPtr> children = {});
  template <typename... Nodes>
  ExprPtr make_of(ExprKind kind, int line, Nodes... nodes) {
    std::vector<ExprPtr> children;
    (children.push_back(std::move(nodes)), ...);
    return make(kind, line, std::move(children));
  }
  void measure(Expr& node) const;
  ExprPtr make_constant(int line, Value value);
  ExprPtr make_named(ExprKind kind, int line, std::string name, std::vector<ExprPtr> children = {});

  std::unique_ptr<Heap> constants_;
};

}  // namespace attune::jinja
