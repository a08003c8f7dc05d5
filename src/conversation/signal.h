// Signal, which has no export of its own; what its programs and the tools around it write:
//   signal-cli --output=json   one {"envelope":{"source","sourceNumber","sourceUuid","sourceName","timestamp",
//                              "dataMessage":{"message","groupInfo":{"groupId"}},"syncMessage":{"sentMessage":{"message",
//                              "destination","destinationNumber","destinationUuid"}}},"account"} in a line; of its daemon
//                              as {"jsonrpc","method":"receive","params":{"envelope":...}}
//   signal-cli receive         blocks that begin "Envelope from: “Anna” +36... (device: 1)" with a "Body: " in them
//   signal-export              <person>/data.json, one {"date","sender","body","quote","reactions","attachments"} in a
//                              line, and <person>/chat.md, "[2022-05-01 12:00:00] Anna: text"; data.json is preferred
//   messages of Signal Desktop's database as JSON (sigtop and others), {"sent_at","type":"outgoing","body","source",
//                              "conversationId"}, in a list or one in a line
#pragma once

#include "conversation/importer.h"

namespace attune {

extern const Importer kSignal;

}  // namespace attune
