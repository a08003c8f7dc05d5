#include "conversation/mail_threads.h"

#include <algorithm>

#include "conversation/mail_text.h"

namespace attune {

std::uint32_t MailThreads::root(std::uint32_t thread) const {
  while (parents_[thread] != thread) thread = parents_[thread];
  return thread;
}

// The older thread takes the younger one.
std::uint32_t MailThreads::join(std::uint32_t a, std::uint32_t b) {
  a = root(a), b = root(b);
  parents_[std::max(a, b)] = std::min(a, b);
  return std::min(a, b);
}

std::uint32_t MailThreads::add(const Mail& mail) {
  const auto fresh = static_cast<std::uint32_t>(parents_.size());
  parents_.push_back(fresh);
  std::uint32_t thread = fresh;
  const auto meet = [&](const std::string& id) {
    const auto [entry, added] = by_id_.try_emplace(id, thread);
    if (!added) thread = join(thread, entry->second);
    entry->second = thread;
  };
  if (!mail.id.empty()) {
    seen_[mail.id] = true;
    meet(mail.id);
  }
  for (const std::string& id : mail.references) meet(id);
  bool answers = false;
  const std::string subject = base_subject(mail.subject, answers);
  if (!subject.empty()) {
    // Mail programs that name no references still write "Re:".
    const auto before = by_subject_.find(subject);
    if (answers && mail.references.empty() && before != by_subject_.end()) thread = join(thread, before->second);
    by_subject_[subject] = thread;
  }
  return thread;
}

}  // namespace attune
