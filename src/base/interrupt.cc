#include "base/interrupt.h"

#include <signal.h>
#include <unistd.h>

namespace attune {
namespace {

volatile sig_atomic_t requested = 0;

void on_signal(int number) {
  if (requested != 0 && number == SIGINT) _exit(130);
  requested = 1;
}

}  // namespace

void watch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool interrupt_requested() { return requested != 0; }

void clear_interrupt() { requested = 0; }

}  // namespace attune
