#include "base/interrupt.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/error.h"

namespace attune {
namespace {

volatile sig_atomic_t requested = 0;
volatile sig_atomic_t terminating = 0;
volatile sig_atomic_t descriptor = -1;
volatile sig_atomic_t save_wanted = 0;

void on_signal(int number) {
  if (requested != 0 && number == SIGINT) _exit(130);
  const int before = errno;
  if (number == SIGTERM) terminating = 1;
  requested = 1;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(descriptor, &one, sizeof one);  // async-signal-safe
  errno = before;
}

}  // namespace

void watch_interrupts() {
  if (descriptor < 0) {
    descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (descriptor < 0) throw InternalError("[interrupt] eventfd failed with error {}", errno);
  }
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

void watch_save_requests() {
  struct sigaction action {};
  action.sa_handler = [](int) { save_wanted = 1; };
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, nullptr);
}

bool take_save_request() {
  const bool wanted = save_wanted != 0;
  save_wanted = 0;
  return wanted;
}

bool interrupt_requested() { return requested != 0; }

bool termination_requested() { return terminating != 0; }

void clear_interrupt() {
  requested = 0;
  std::uint64_t count = 0;
  // A signal between the two lines leaves the flag set; the descriptor must then stay readable.
  [[maybe_unused]] const ssize_t taken = read(descriptor, &count, sizeof count);
  if (requested != 0) {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(descriptor, &one, sizeof one);
  }
}

int interrupt_descriptor() { return descriptor; }

}  // namespace attune
