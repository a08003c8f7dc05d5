#include "synth/local_model.h"

#include <utility>

#include "base/interrupt.h"
#include "token/encode.h"

namespace attune {
namespace {

EngineOptions engine_options(std::int64_t context, std::int64_t together, DType act) {
  EngineOptions options;
  options.context = context;
  options.sequences = together;
  options.act = act;
  return options;
}

}  // namespace

// One call under way; the engine's thread fills it.
struct LocalModel::Ticket : AnswerSink {
  std::vector<TokenId> tokens;
  FinishReason reason = FinishReason::kLength;
  bool done = false;

  bool wanted() override { return !interrupt_requested(); }
  void on_prompt(std::int64_t /*known_tokens*/) override {}
  bool on_token(const TokenChoice& choice) override {
    tokens.push_back(choice.token);
    return !interrupt_requested();
  }
  void on_finish(FinishReason finish) override {
    reason = finish;
    done = true;
  }
};

LocalModel::LocalModel(const ChatModel& model, std::string name, std::int64_t context, std::int64_t together, DType act)
    : model_(model),
      name_(std::move(name)),
      engine_(model.model, {lora_table_of(model.model)}, engine_options(context, together, act)),
      worker_([this] { work(); }) {}

LocalModel::~LocalModel() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

// All passes run on one thread, so that OpenMP keeps one team.
void LocalModel::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || !engine_.idle(); });
    if (stop_) return;
    try {
      engine_.step();
    } catch (...) {
      failure_ = std::current_exception();
    }
    changed_.notify_all();
    lock.unlock();
    std::this_thread::yield();  // whoever waits to add a call gets the lock between two passes
    lock.lock();
  }
}

ModelReply LocalModel::reply(const ModelCall& call) {
  SequenceRequest request;
  request.prompt = encode_prompt(call.messages, model_.chat_template, *model_.tokenizer);
  request.adapter = 0;
  request.sampler.temperature = call.temperature.value_or(request.sampler.temperature);
  request.sampler.seed = call.seed;
  request.max_new_tokens = call.max_tokens;
  request.stop_tokens = model_.stops;
  const auto prompt_tokens = std::ssize(request.prompt);
  if (prompt_tokens >= engine_.context()) {
    throw UserError(
        "[--chunk-size] a chunk with its instructions takes {} tokens and the model has room for {}; make chunks "
        "smaller or raise --context",
        prompt_tokens, engine_.context());
  }
  engine_.check(request);
  const auto ticket = std::make_shared<Ticket>();
  {
    std::unique_lock lock(mutex_);
    engine_.add(std::move(request), ticket);
    changed_.notify_all();
    changed_.wait(lock, [&] { return ticket->done || failure_; });
    if (failure_) std::rethrow_exception(failure_);
  }
  if (interrupt_requested()) throw Interrupted("[synth] stopped");
  ModelReply reply;
  reply.text = model_.tokenizer->decode(ticket->tokens, true);
  reply.cut = ticket->reason == FinishReason::kLength;
  reply.prompt_tokens = prompt_tokens;
  reply.reply_tokens = std::ssize(ticket->tokens);
  return reply;
}

}  // namespace attune
