#include "token/jinja/scope.h"

#include <algorithm>
#include <map>
#include <set>

#include "token/jinja/lexer.h"

namespace attune::jinja {
namespace {

constexpr std::size_t kMaxSlots = 10000;
constexpr std::size_t kMaxCopiedNames = 5'000'000;  // over all conditions: bounds the time for hostile templates

// The slots of one function. Scopes of the same level share the slots of equal names, as the generated Python shares
// its local variables.
struct FunctionScope {
  FunctionScope* parent = nullptr;
  std::size_t* copied_names = nullptr;
  std::map<std::pair<int, std::string>, std::uint16_t> slots;
};

struct Variable {
  FunctionScope* function;
  std::uint16_t index;
  auto operator<=>(const Variable&) const = default;
};

struct LoadRule {
  Load::Kind kind;
  std::string name;   // kResolve
  Variable source{};  // kAlias
};

struct Symbols {
  const Symbols* parent = nullptr;
  FunctionScope* function = nullptr;
  int level = 0;
  std::map<std::string, Variable> names;
  std::map<Variable, LoadRule> loads;
  std::set<std::string> stores;

  Symbols(const Symbols* outer, FunctionScope* owner)
      : parent(outer), function(owner), level(outer != nullptr ? outer->level + 1 : 0) {}

  Variable define(const std::string& name, LoadRule rule) {
    if (function->slots.size() >= kMaxSlots) fail("the template uses more than {} names", kMaxSlots);
    const auto [slot, added] =
        function->slots.try_emplace({level, name}, static_cast<std::uint16_t>(function->slots.size()));
    const Variable variable{function, slot->second};
    names[name] = variable;
    loads[variable] = std::move(rule);
    return variable;
  }
  const Variable* find(const std::string& name) const {
    for (const Symbols* scope = this; scope != nullptr; scope = scope->parent) {
      if (const auto found = scope->names.find(name); found != scope->names.end()) return &found->second;
    }
    return nullptr;
  }
  void load(const std::string& name) {
    if (find(name) == nullptr) define(name, {Load::kResolve, name});
  }
  Variable parameter(const std::string& name) {
    stores.insert(name);
    return define(name, {Load::kParameter, {}});
  }
  void store(const std::string& name) {
    stores.insert(name);
    if (names.contains(name)) return;
    const Variable* outer = parent != nullptr ? parent->find(name) : nullptr;
    define(name, outer != nullptr ? LoadRule{Load::kAlias, {}, *outer} : LoadRule{Load::kUndefined, {}});
  }
  // After an "if": a name that some branch stored starts as what it is outside of the "if".
  void merge(const std::vector<Symbols>& branches) {
    std::set<std::string> stored;
    for (const Symbols& branch : branches) stored.insert(branch.stores.begin(), branch.stores.end());
    for (const std::string& name : stores) stored.erase(name);
    for (const Symbols& branch : branches) {
      for (const auto& [name, variable] : branch.names) names[name] = variable;
      for (const auto& [variable, rule] : branch.loads) loads[variable] = rule;
      stores.insert(branch.stores.begin(), branch.stores.end());
    }
    for (const std::string& name : stored) {
      const Variable variable = *find(name);
      const Variable* outer = parent != nullptr ? parent->find(name) : nullptr;
      loads[variable] = outer != nullptr ? LoadRule{Load::kAlias, {}, *outer} : LoadRule{Load::kResolve, name};
    }
  }
};

// -- Which names a scope uses (jinja2's FrameSymbolVisitor)

void collect(const Expr* node, Symbols& symbols, bool as_parameter = false) {
  if (node == nullptr) return;
  if (node->kind == ExprKind::kName) {
    if (as_parameter || node->use == NameUse::kParameter)
      symbols.parameter(node->text);
    else if (node->use == NameUse::kStore)
      symbols.store(node->text);
    else
      symbols.load(node->text);
  } else if (node->kind == ExprKind::kNamespaceRef) {
    symbols.load(node->text);
  }
  for (const ExprPtr& child : node->children) collect(child.get(), symbols, as_parameter);
  for (const Keyword& keyword : node->keywords) collect(keyword.value.get(), symbols);
  collect(node->star.get(), symbols);
  collect(node->double_star.get(), symbols);
}

void collect(const Body& body, Symbols& symbols);

void collect(const Stmt& node, Symbols& symbols) {
  switch (node.kind) {
    case StmtKind::kOutput:
      for (const ExprPtr& piece : node.pieces) collect(piece.get(), symbols);
      break;
    case StmtKind::kIf: {
      // The first condition is read outside; each further "elif" is jinja2's nested If and counts as one branch.
      collect(node.branches[0].condition.get(), symbols);
      *symbols.function->copied_names += 4 * node.branches.size() * (symbols.names.size() + 1);
      if (*symbols.function->copied_names > kMaxCopiedNames) fail("the template has too many conditions and names");
      std::vector<Symbols> branches(3, symbols);
      collect(node.branches[0].body, branches[0]);
      for (std::size_t i = 1; i < node.branches.size(); ++i) {
        const Branch& branch = node.branches[i];
        if (!branch.condition) {
          collect(branch.body, branches[2]);
          continue;
        }
        collect(branch.condition.get(), branches[1]);
        std::vector<Symbols> inner(1, branches[1]);
        collect(branch.body, inner[0]);
        branches[1].merge(inner);
      }
      symbols.merge(branches);
      break;
    }
    case StmtKind::kFor:
      collect(node.value.get(), symbols);
      break;
    case StmtKind::kSet:
      collect(node.value.get(), symbols);
      collect(node.target.get(), symbols);
      break;
    case StmtKind::kSetBlock:
      collect(node.target.get(), symbols);
      break;
    case StmtKind::kMacro:
      symbols.store(node.name);
      break;
    case StmtKind::kCallBlock:
    case StmtKind::kFilterBlock:
      collect(node.value.get(), symbols);
      break;
    case StmtKind::kWith:
      for (const ExprPtr& value : node.pieces) collect(value.get(), symbols);
      break;
    default:
      break;
  }
}

void collect(const Body& body, Symbols& symbols) {
  for (const StmtPtr& node : body) collect(*node, symbols);
}

// -- Which of some names are read before they are written (jinja2's UndeclaredNameVisitor)

struct Undeclared {
  std::set<std::string> watched, found;

  void visit(const Expr* node) {
    if (node == nullptr) return;
    if (node->kind == ExprKind::kName) {
      if (node->use == NameUse::kLoad && watched.contains(node->text))
        found.insert(node->text);
      else
        watched.erase(node->text);
    }
    for (const ExprPtr& child : node->children) visit(child.get());
    for (const Keyword& keyword : node->keywords) visit(keyword.value.get());
    visit(node->star.get());
    visit(node->double_star.get());
  }
  void visit(const Body& body) {
    for (const StmtPtr& node : body) visit(*node);
  }
  void visit(const Stmt& node) {
    if (node.kind == StmtKind::kFilterBlock) visit(node.body);
    if (node.kind == StmtKind::kWith) {
      for (const ExprPtr& target : node.parameters) visit(target.get());
    }
    for (const ExprPtr& piece : node.pieces) visit(piece.get());
    if (node.kind == StmtKind::kCallBlock) visit(node.value.get());
    if (node.kind != StmtKind::kMacro) visit(node.target.get());
    if (node.kind != StmtKind::kCallBlock) visit(node.value.get());
    if (node.kind != StmtKind::kWith) {
      for (const ExprPtr& parameter : node.parameters) visit(parameter.get());
    }
    for (const ExprPtr& value : node.defaults) visit(value.get());
    for (const Branch& branch : node.branches) {
      visit(branch.condition.get());
      visit(branch.body);
    }
    if (node.kind != StmtKind::kFilterBlock) visit(node.body);
    visit(node.otherwise);
    visit(node.condition.get());
  }
};

std::set<std::string> undeclared(const Body& body, std::set<std::string> names) {
  Undeclared visitor{std::move(names), {}};
  visitor.visit(body);
  return visitor.found;
}

// -- Slots (jinja2's CodeGenerator)

ExprPtr clone_target(const Expr& target) {
  auto copy = std::make_unique<Expr>();
  copy->kind = target.kind;
  copy->line = target.line;
  copy->use = target.use;
  copy->text = target.text;
  copy->constant = target.constant;
  for (const ExprPtr& child : target.children) copy->children.push_back(clone_target(*child));
  return copy;
}

void refuse_loop_target(const Expr& target) {
  if (target.text == "loop") throw SyntaxError(target.line, "Can't assign to special loop variable in for-loop target");
  for (const ExprPtr& child : target.children) refuse_loop_target(*child);
}

class Resolver {
 public:
  void run(TemplateTree& tree) {
    Symbols symbols(nullptr, new_function(nullptr));
    collect(tree.body, symbols);
    resolve(tree.body, {&symbols, symbols.function, false});
    tree.scope = make_scope(symbols, symbols.function);
    tree.function.slot_count = symbols.function->slots.size();
  }

 private:
  struct Frame {
    const Symbols* symbols;
    FunctionScope* function;
    bool soft;  // inside a condition: unknown filters are an error only when they run
  };

  FunctionScope* new_function(FunctionScope* parent) {
    functions_.push_back(std::make_unique<FunctionScope>());
    functions_.back()->parent = parent;
    functions_.back()->copied_names = &copied_names_;
    return functions_.back().get();
  }

  static Slot slot(const Variable& variable, const FunctionScope* from) {
    std::uint16_t hops = 0;
    for (; from != variable.function; from = from->parent) ++hops;
    return {hops, variable.index};
  }

  static Scope make_scope(const Symbols& symbols, const FunctionScope* function) {
    Scope scope;
    for (const auto& [variable, rule] : symbols.loads) {
      Load load{rule.kind, slot(variable, function), {}, rule.name};
      if (rule.kind == Load::kAlias) load.source = slot(rule.source, function);
      scope.push_back(std::move(load));
    }
    return scope;
  }

  void resolve(Expr* node, const Frame& frame) {
    if (node == nullptr) return;
    if (node->kind == ExprKind::kName || node->kind == ExprKind::kNamespaceRef) {
      const Variable* variable = frame.symbols->find(node->text);
      if (variable == nullptr) throw SyntaxError(node->line, fmt::format("'{}' cannot be used here", node->text));
      node->slot = slot(*variable, frame.function);
    }
    Frame inner = frame;
    if (node->kind == ExprKind::kConditional) inner.soft = true;
    const bool unknown = (node->kind == ExprKind::kFilter && node->filter == nullptr) ||
                         (node->kind == ExprKind::kTest && node->test == nullptr);
    if (unknown && !frame.soft) {
      throw SyntaxError(node->line, fmt::format("No {} named '{}'.",
                                                node->kind == ExprKind::kFilter ? "filter" : "test", node->text));
    }
    for (const ExprPtr& child : node->children) resolve(child.get(), inner);
    for (const Keyword& keyword : node->keywords) resolve(keyword.value.get(), inner);
    resolve(node->star.get(), inner);
    resolve(node->double_star.get(), inner);
  }

  void resolve(const std::vector<ExprPtr>& nodes, const Frame& frame) {
    for (const ExprPtr& node : nodes) resolve(node.get(), frame);
  }
  void resolve(Body& body, const Frame& frame) {
    for (StmtPtr& node : body) resolve(*node, frame);
  }

  void resolve(Stmt& node, const Frame& frame) {
    Frame soft = frame;
    soft.soft = true;
    switch (node.kind) {
      case StmtKind::kOutput:
        resolve(node.pieces, frame);
        break;
      case StmtKind::kIf:
        for (Branch& branch : node.branches) {
          resolve(branch.condition.get(), soft);
          resolve(branch.body, soft);
        }
        break;
      case StmtKind::kFor:
        resolve_for(node, frame);
        break;
      case StmtKind::kSet:
        resolve(node.value.get(), frame);
        resolve(node.target.get(), frame);
        break;
      case StmtKind::kSetBlock:
        resolve(node.target.get(), frame);
        resolve_block(node, frame);
        break;
      case StmtKind::kFilterBlock:
        resolve_block(node, frame);
        break;
      case StmtKind::kMacro:
        resolve_function(node, frame);
        node.name_slot = slot(*frame.symbols->find(node.name), frame.function);
        break;
      case StmtKind::kCallBlock:
        resolve_function(node, frame);
        resolve(node.value.get(), frame);
        break;
      case StmtKind::kGeneration:
        resolve_function(node, frame);
        break;
      case StmtKind::kWith:
        resolve_with(node, frame);
        break;
      default:
        break;
    }
  }

  // A set block or filter block: a scope in the same function; its filter runs inside.
  void resolve_block(Stmt& node, const Frame& frame) {
    Symbols symbols(frame.symbols, frame.function);
    if (node.value) collect(node.value.get(), symbols);
    collect(node.body, symbols);
    const Frame inner{&symbols, frame.function, false};
    resolve(node.body, inner);
    resolve(node.value.get(), inner);
    node.scope = make_scope(symbols, frame.function);
  }

  void resolve_with(Stmt& node, const Frame& frame) {
    Symbols symbols(frame.symbols, frame.function);
    for (const ExprPtr& target : node.parameters) collect(target.get(), symbols);
    collect(node.body, symbols);
    const Frame inner{&symbols, frame.function, false};
    resolve(node.parameters, inner);
    resolve(node.pieces, frame);
    resolve(node.body, inner);
    node.scope = make_scope(symbols, frame.function);
  }

  void resolve_function(Stmt& node, const Frame& frame) {
    FunctionScope* function = new_function(frame.function);
    Symbols symbols(frame.symbols, function);
    const auto analyze = [&] {
      for (const ExprPtr& parameter : node.parameters) collect(parameter.get(), symbols);
      for (const ExprPtr& value : node.defaults) collect(value.get(), symbols);
      collect(node.body, symbols);
    };
    analyze();
    const auto takes = [&](std::string_view name) {
      return std::any_of(node.parameters.begin(), node.parameters.end(),
                         [&](const ExprPtr& parameter) { return parameter->text == name; });
    };
    const std::set<std::string> special = undeclared(node.body, {"caller", "kwargs", "varargs"});
    node.uses_caller = special.contains("caller");
    if (node.uses_caller && takes("caller")) {
      const auto first_default = node.parameters.size() - node.defaults.size();
      for (std::size_t i = 0; i < first_default; ++i) {
        if (node.parameters[i]->text == "caller") {
          throw SyntaxError(node.line, "the special \"caller\" argument must be omitted or be given a default");
        }
      }
    } else if (node.uses_caller) {
      node.caller_slot = slot(symbols.parameter("caller"), function);
    }
    node.uses_kwargs = special.contains("kwargs") && !takes("kwargs");
    if (node.uses_kwargs) node.kwargs_slot = slot(symbols.parameter("kwargs"), function);
    node.uses_varargs = special.contains("varargs") && !takes("varargs");
    if (node.uses_varargs) node.varargs_slot = slot(symbols.parameter("varargs"), function);
    analyze();
    const Frame inner{&symbols, function, false};
    resolve(node.parameters, inner);
    resolve(node.defaults, inner);
    resolve(node.body, inner);
    node.scope = make_scope(symbols, function);
    node.function.slot_count = function->slots.size();
  }

  void resolve_for(Stmt& node, const Frame& frame) {
    refuse_loop_target(*node.target);
    FunctionScope* function = node.recursive ? new_function(frame.function) : frame.function;
    resolve(node.value.get(), frame);

    if (node.condition) {
      FunctionScope* test_function = new_function(frame.function);
      Symbols symbols(frame.symbols, test_function);
      collect(node.target.get(), symbols, true);
      collect(node.condition.get(), symbols);
      const Frame inner{&symbols, test_function, false};
      node.test_target = clone_target(*node.target);
      resolve(node.test_target.get(), inner);
      resolve(node.condition.get(), inner);
      node.test_scope = make_scope(symbols, test_function);
      node.test_function.slot_count = test_function->slots.size();
    }

    Symbols symbols(frame.symbols, function);
    node.uses_loop = node.recursive || undeclared(node.body, {"loop"}).contains("loop");
    if (node.uses_loop) node.loop_slot = slot(symbols.parameter("loop"), function);
    collect(node.target.get(), symbols, true);
    collect(node.body, symbols);
    const Frame inner{&symbols, function, false};
    resolve(node.target.get(), inner);
    resolve(node.body, inner);
    node.scope = make_scope(symbols, function);

    if (!node.otherwise.empty()) {
      Symbols else_symbols(frame.symbols, function);
      collect(node.otherwise, else_symbols);
      resolve(node.otherwise, {&else_symbols, function, false});
      node.else_scope = make_scope(else_symbols, function);
    }
    node.function.slot_count = function->slots.size();
  }

  std::vector<std::unique_ptr<FunctionScope>> functions_;
  std::size_t copied_names_ = 0;
};

}  // namespace

void resolve_names(TemplateTree& tree) { Resolver().run(tree); }

}  // namespace attune::jinja
