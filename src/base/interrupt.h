// Ctrl-C and SIGTERM as a flag that long work asks for at safe points.
#pragma once

namespace attune {

// From now on SIGINT and SIGTERM set the flag; a second SIGINT ends the process at once.
void watch_interrupts();
bool interrupt_requested();
void clear_interrupt();  // for chat, where Ctrl-C stops one answer only

}  // namespace attune
