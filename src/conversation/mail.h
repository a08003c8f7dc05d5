// Mail: an mbox file (Thunderbird, Apple Mail, Google Takeout; mboxo and mboxrd), single .eml files, or folders of them.
// A thread, by References and In-Reply-To, else by its subject, is a session, however long the answers take; the
// threads between the same people are one chat. Quoted text and signatures are removed (mail_text.h).
#pragma once

#include "conversation/importer.h"

namespace attune {

extern const Importer kMail;

}  // namespace attune
