// IRC logs of many clients: lines that begin with a time.
//   irssi, ubuntu   12:34 <@nick> text        12:34 -!- nick [host] has joined #chan    --- Day changed Tue Jan 16 2024
//                   12:34  * nick waves       === nick [~host] has joined #ubuntu
//   ZNC, energymech [12:34:56] <nick> text    [12:34:56] *** Joins: nick (user@host)
//   weechat         2024-01-15 12:34:56<TAB>@nick<TAB>text      prefixes -->, <--, --, " *"
//   HexChat, mIRC   Jan 15 12:34:56 <nick><TAB>text             **** BEGIN LOGGING AT Mon Jan 15 12:34:56 2024
// The day comes from the line, from a header line, or from the file's name (2024-01-15.log); a clock that goes back by
// hours has passed midnight. A channel (a folder of days, or a file) is one chat. Lines that are not UTF-8 are read as
// Windows-1252, which the ledger says.
#pragma once

#include "conversation/importer.h"

namespace attune {

extern const Importer kIrc;

}  // namespace attune
