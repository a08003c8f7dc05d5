// Ctrl-C and SIGTERM as a flag that long work asks for at safe points, and as a descriptor that a wait can watch.
#pragma once

namespace attune {

// From now on SIGINT and SIGTERM set the flag; a second SIGINT ends the process at once.
void watch_interrupts();
bool interrupt_requested();
bool termination_requested();  // the last one was SIGTERM: to be obeyed even where Ctrl-C only stops an answer
void clear_interrupt();        // for chat, where Ctrl-C stops one answer only

// From now on SIGUSR1, which clusters send before they take a machine away, asks a run for a checkpoint; it then goes on.
void watch_save_requests();
bool take_save_request();  // whether one came since the last call

// Readable from the moment the flag is set until clear_interrupt(). A wait for input polls it beside the input: a signal
// that comes between asking for the flag and waiting is then not lost, whichever thread it met. Needs
// watch_interrupts(); -1 before. Not to be read or closed.
int interrupt_descriptor();

}  // namespace attune
