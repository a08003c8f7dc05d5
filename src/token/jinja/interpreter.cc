#include "token/jinja/interpreter.h"

#include "token/jinja/builtins.h"

namespace attune::jinja {

Interpreter::Interpreter(Runtime& runtime, const TemplateTree& tree, const Variables& variables)
    : runtime_(runtime), tree_(tree), variables_(variables) {
  runtime_.call_template_object = [this](const Value& callable, Arguments& arguments) {
    return callable.is(Type::kMacro) ? call_macro(callable.as<Macro>(), arguments)
                                     : call_loop(callable.as<Loop>(), arguments);
  };
  runtime_.template_object_attribute = [this](const Value& object, std::string_view name) {
    return object.is(Type::kMacro) ? macro_attribute(object.as<Macro>(), name)
                                   : loop_attribute(object.as<Loop>(), object, name);
  };
}

std::string Interpreter::run() {
  std::string text;
  out_ = &text;
  Frame& frame = *runtime_.heap().make<Frame>(tree_.function.slot_count, nullptr);
  enter(tree_.scope, frame);
  execute(tree_.body, frame);
  return text;
}

void Interpreter::write(std::string_view text) {
  runtime_.heap().charge(text.size());
  runtime_.step(text.size() / 64);
  *out_ += text;
}

// -- Variables

Value& Interpreter::slot(const Slot& slot, Frame& frame) {
  Frame* owner = &frame;
  for (int hops = slot.hops; hops > 0; --hops) owner = owner->parent;
  return owner->slots[slot.index];
}

Value Interpreter::resolve(const std::string& name) {
  for (const auto& [key, value] : variables_) {
    if (key == name) return value;
  }
  return find_global(runtime_, name);
}

void Interpreter::enter(const Scope& scope, Frame& frame) {
  for (const Load& load : scope) {
    switch (load.kind) {
      case Load::kParameter:
        break;
      case Load::kResolve:
        slot(load.target, frame) = resolve(load.name);
        break;
      case Load::kAlias:
        slot(load.target, frame) = slot(load.source, frame);
        break;
      case Load::kUndefined:
        slot(load.target, frame) = Value();
        break;
    }
  }
}

void Interpreter::leave(const Scope& scope, Frame& frame) {
  for (const Load& load : scope) slot(load.target, frame) = Value();
}

void Interpreter::check_namespaces(const Expr& target, Frame& frame) {
  if (target.kind == ExprKind::kNamespaceRef && !slot(target.slot, frame).is(Type::kNamespace)) {
    line_ = target.line;
    fail("cannot assign attribute on non-namespace object");
  }
  for (const ExprPtr& child : target.children) check_namespaces(*child, frame);
}

void Interpreter::assign(const Expr& target, const Value& value, Frame& frame) {
  if (target.kind == ExprKind::kName) {
    slot(target.slot, frame) = value;
    return;
  }
  if (target.kind == ExprKind::kNamespaceRef) {
    const std::string_view name = target.constant.text();
    if (name.starts_with('_')) fail("chat templates cannot store the underscore-prefixed attribute '{}'", name);
    Namespace& object = slot(target.slot, frame).as<Namespace>();
    if (Value* found = object.find(name))
      *found = value;
    else
      object.attributes.emplace_back(name, value);
    return;
  }
  const std::vector<Value> values = runtime_.to_vector(value);
  if (values.size() != target.children.size()) {
    fail("cannot unpack {} values into {} names", values.size(), target.children.size());
  }
  for (std::size_t i = 0; i < values.size(); ++i) assign(*target.children[i], values[i], frame);
}

// -- Statements

Interpreter::Flow Interpreter::execute(const Body& body, Frame& frame) {
  for (const StmtPtr& node : body) {
    const Flow flow = execute(*node, frame);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::capture(const Body& body, Frame& frame, std::string& text) {
  std::string* const outer = out_;
  out_ = &text;
  const Flow flow = execute(body, frame);
  out_ = outer;
  return flow;
}

Interpreter::Flow Interpreter::execute(const Stmt& node, Frame& frame) {
  const Depth depth(*this);
  runtime_.step();
  line_ = node.line;
  Flow flow = Flow::kNext;
  switch (node.kind) {
    case StmtKind::kOutput:
      for (const ExprPtr& piece : node.pieces) {
        if (piece->kind == ExprKind::kConstant && piece->constant.is(Type::kString)) {
          write(piece->constant.text());
          continue;
        }
        const Value value = evaluate(*piece, frame);
        if (value.is(Type::kString))
          write(value.text());
        else if (!value.is(Type::kUndefined))
          write(runtime_.str(value));
      }
      break;
    case StmtKind::kIf:
      return execute_if(node, frame);
    case StmtKind::kFor:
      return execute_for(node, frame);
    case StmtKind::kSet:
      check_namespaces(*node.target, frame);
      assign(*node.target, evaluate(*node.value, frame), frame);
      break;
    case StmtKind::kSetBlock:
    case StmtKind::kFilterBlock: {
      std::string text;
      enter(node.scope, frame);
      flow = capture(node.body, frame, text);
      if (flow != Flow::kNext) return flow;
      Value value = runtime_.string(text);
      if (node.value) value = apply_block_filter(*node.value, value, frame);
      if (node.kind == StmtKind::kSetBlock) {
        check_namespaces(*node.target, frame);
        assign(*node.target, value, frame);
      } else {
        write(runtime_.str(value));
      }
      leave(node.scope, frame);
      break;
    }
    case StmtKind::kMacro:
      slot(node.name_slot, frame) = make_macro(node, frame, false);
      break;
    case StmtKind::kCallBlock: {
      const Value caller = make_macro(node, frame, true);
      write(runtime_.str(evaluate_call(*node.value, frame, &caller)));
      break;
    }
    case StmtKind::kGeneration: {
      Arguments none;
      write(call_macro(make_macro(node, frame, true).as<Macro>(), none).text());
      break;
    }
    case StmtKind::kWith:
      enter(node.scope, frame);
      for (std::size_t i = 0; i < node.parameters.size(); ++i) {
        assign(*node.parameters[i], evaluate(*node.pieces[i], frame), frame);
      }
      flow = execute(node.body, frame);
      if (flow == Flow::kNext) leave(node.scope, frame);
      return flow;
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
    case StmtKind::kUnavailable:
      fail("'{}' needs a template loader, which chat templates do not have", node.name);
  }
  return flow;
}

Interpreter::Flow Interpreter::execute_if(const Stmt& node, Frame& frame) {
  for (const Branch& branch : node.branches) {
    line_ = branch.line;
    if (!branch.condition || truth(evaluate(*branch.condition, frame))) return execute(branch.body, frame);
  }
  return Flow::kNext;
}

// -- Expressions

Value Interpreter::evaluate(const Expr& node, Frame& frame) {
  const Depth depth(*this);
  runtime_.step();
  switch (node.kind) {
    case ExprKind::kConstant:
      return node.constant;
    case ExprKind::kName: {
      const Value value = slot(node.slot, frame);
      return value.missing() ? runtime_.heap().undefined(Value(), node.constant) : value;
    }
    case ExprKind::kTuple:
    case ExprKind::kList: {
      std::vector<Value> values;
      values.reserve(node.children.size());
      for (const ExprPtr& child : node.children) values.push_back(evaluate(*child, frame));
      Heap& heap = runtime_.heap();
      return node.kind == ExprKind::kList ? heap.list(std::move(values)) : heap.tuple(std::move(values));
    }
    case ExprKind::kDict:
      return evaluate_dict(node, frame);
    case ExprKind::kGetAttribute: {
      const Value object = evaluate(*node.children[0], frame);
      line_ = node.line;
      return runtime_.get_attribute(object, node.constant);
    }
    case ExprKind::kGetItem: {
      const Value object = evaluate(*node.children[0], frame);
      const Expr& key = *node.children[1];
      if (key.kind != ExprKind::kSlice) {
        const Value value = evaluate(key, frame);
        line_ = node.line;
        return runtime_.get_item(object, value);
      }
      const auto part = [&](std::size_t i) { return key.children[i] ? evaluate(*key.children[i], frame) : Value(); };
      const Value start = part(0), stop = part(1), step = part(2);
      line_ = node.line;
      return runtime_.slice(object, start, stop, step);
    }
    case ExprKind::kCall:
      return evaluate_call(node, frame, nullptr);
    case ExprKind::kFilter: {
      const Value input = evaluate(*node.children[0], frame);
      return apply_filter(node, input, frame);
    }
    case ExprKind::kTest: {
      const Value input = evaluate(*node.children[0], frame);
      Arguments arguments;
      evaluate_arguments(node, frame, arguments);
      line_ = node.line;
      if (node.test == nullptr) fail("No test named '{}' found.", node.text);
      return Value::of(node.test(runtime_, input, arguments));
    }
    case ExprKind::kNot:
      return Value::of(!truth(evaluate(*node.children[0], frame)));
    case ExprKind::kAnd:
    case ExprKind::kOr: {
      const Value left = evaluate(*node.children[0], frame);
      return truth(left) == (node.kind == ExprKind::kOr) ? left : evaluate(*node.children[1], frame);
    }
    case ExprKind::kConcat: {
      std::string text;
      for (const ExprPtr& child : node.children) text += runtime_.str(evaluate(*child, frame));
      return runtime_.string(text);
    }
    case ExprKind::kCompare:
      return evaluate_compare(node, frame);
    case ExprKind::kConditional:
      if (truth(evaluate(*node.children[0], frame))) return evaluate(*node.children[1], frame);
      if (node.children[2]) return evaluate(*node.children[2], frame);
      return runtime_.heap().undefined(fmt::format(
          "the inline if-expression on line {} evaluated to false and no else section was defined.", node.line));
    default:
      return evaluate_binary(node, frame);
  }
}

Value Interpreter::evaluate_binary(const Expr& node, Frame& frame) {
  const Value left = evaluate(*node.children[0], frame);
  const Value right = node.children.size() > 1 ? evaluate(*node.children[1], frame) : Value();
  line_ = node.line;
  switch (node.kind) {
    case ExprKind::kNegative:
      return runtime_.negative(left);
    case ExprKind::kPositive:
      return runtime_.positive(left);
    case ExprKind::kAdd:
      return runtime_.add(left, right);
    case ExprKind::kSubtract:
      return runtime_.subtract(left, right);
    case ExprKind::kMultiply:
      return runtime_.multiply(left, right);
    case ExprKind::kDivide:
      return runtime_.divide(left, right);
    case ExprKind::kFloorDivide:
      return runtime_.floor_divide(left, right);
    case ExprKind::kModulo:
      return runtime_.modulo(left, right);
    case ExprKind::kPower:
      return runtime_.power(left, right);
    default:
      fail("this expression cannot be evaluated");
  }
}

Value Interpreter::evaluate_compare(const Expr& node, Frame& frame) {
  Value left = evaluate(*node.children[0], frame);
  for (std::size_t i = 0; i < node.comparisons.size(); ++i) {
    const Value right = evaluate(*node.children[i + 1], frame);
    line_ = node.line;
    bool holds = false;
    switch (node.comparisons[i]) {
      case Comparison::kEqual:
        holds = runtime_.equal(left, right);
        break;
      case Comparison::kNotEqual:
        holds = !runtime_.equal(left, right);
        break;
      case Comparison::kIn:
        holds = runtime_.contains(right, left);
        break;
      case Comparison::kNotIn:
        holds = !runtime_.contains(right, left);
        break;
      default:
        holds = runtime_.ordered(node.comparisons[i], left, right);
    }
    if (!holds) return Value::of(false);
    left = right;
  }
  return Value::of(true);
}

Value Interpreter::evaluate_dict(const Expr& node, Frame& frame) {
  auto* dict = runtime_.heap().make<Dict>();
  for (std::size_t i = 0; i < node.children.size(); i += 2) {
    const Value key = evaluate(*node.children[i], frame);
    const Value value = evaluate(*node.children[i + 1], frame);
    line_ = node.line;
    runtime_.set(*dict, key, value);
  }
  return {Type::kDict, dict};
}

void Interpreter::evaluate_arguments(const Expr& node, Frame& frame, Arguments& arguments) {
  arguments.positional.reserve(node.children.size() - 1);
  for (std::size_t i = 1; i < node.children.size(); ++i) {
    arguments.positional.push_back(evaluate(*node.children[i], frame));
  }
  for (const Keyword& keyword : node.keywords) {
    arguments.named.emplace_back(keyword.name, evaluate(*keyword.value, frame));
  }
  if (node.star) {
    for (const Value& value : runtime_.to_vector(evaluate(*node.star, frame))) arguments.positional.push_back(value);
  }
  if (node.double_star) {
    const Value extra = evaluate(*node.double_star, frame);
    if (!extra.is(Type::kDict)) fail("the argument after ** must be a mapping, not {}", type_name(extra));
    for (const auto& [key, value] : extra.dict().entries) {
      if (!key.is(Type::kString)) fail("keywords must be strings");
      for (const auto& [name, other] : arguments.named) {
        if (name == key.text()) fail("got multiple values for keyword argument '{}'", name);
      }
      arguments.named.emplace_back(key.text(), value);
    }
  }
}

Value Interpreter::apply_filter(const Expr& node, const Value& input, Frame& frame) {
  Arguments arguments;
  evaluate_arguments(node, frame, arguments);
  line_ = node.line;
  if (node.filter == nullptr) fail("No filter named '{}' found.", node.text);
  return node.filter(runtime_, input, arguments);
}

// The filters of a filter block or set block; the innermost one has no input but the block's text.
Value Interpreter::apply_block_filter(const Expr& node, const Value& text, Frame& frame) {
  const Expr* inner = node.children[0].get();
  return apply_filter(node, inner != nullptr ? apply_block_filter(*inner, text, frame) : text, frame);
}

Value Interpreter::evaluate_call(const Expr& node, Frame& frame, const Value* caller) {
  const Expr& callee = *node.children[0];
  Arguments arguments;
  if (callee.kind == ExprKind::kGetAttribute) {
    const Value object = evaluate(*callee.children[0], frame);
    line_ = callee.line;
    Value function;
    const bool method = !object.is(Type::kNamespace) && !object.is(Type::kUndefined) &&
                        !is_hidden_attribute(object, callee.text) && find_method(object, callee.text) != nullptr;
    if (!method) function = runtime_.get_attribute(object, callee.constant);
    evaluate_arguments(node, frame, arguments);
    if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
    line_ = node.line;
    if (method) return *runtime_.call_method(object, callee.text, arguments);
    return runtime_.call(function, arguments);
  }
  const Value function = evaluate(callee, frame);
  evaluate_arguments(node, frame, arguments);
  if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
  line_ = node.line;
  return runtime_.call(function, arguments);
}

}  // namespace attune::jinja
