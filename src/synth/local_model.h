// attune's own engine as the language model: nothing leaves the machine. Replies to several callers are computed
// together; each is a function of its own call and seed (see generate/engine.h).
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

#include "generate/chat_model.h"
#include "generate/engine.h"
#include "synth/language_model.h"

namespace attune {

class LocalModel : public LanguageModel {
 public:
  // `model` must outlive this. `together`: callers at once. `context`: tokens of a call and its reply.
  LocalModel(const ChatModel& model, std::string name, std::int64_t context, std::int64_t together, DType act);
  ~LocalModel() override;
  ModelReply reply(const ModelCall& call) override;
  std::string name() const override { return name_; }

 private:
  struct Ticket;
  void work();

  const ChatModel& model_;
  const std::string name_;
  Engine engine_;
  std::mutex mutex_;  // of the engine and of what follows
  std::condition_variable changed_;
  std::exception_ptr failure_;
  bool stop_ = false;
  std::thread worker_;
};

}  // namespace attune
