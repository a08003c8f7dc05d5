// SMS Backup & Restore (Android), XML:
//   <smses count backup_set>
//     <sms address date type="1|2|3|4|5|6" body contact_name readable_date/>        date in milliseconds; 1 received, 2 sent
//     <mms date msg_box="1|2" address="+36...~+44..." contact_name text_only><parts><part ct="text/plain" text/></parts>
//       <addrs><addr address type="137"/></addrs></mms>                             137 is the sender
// The program writes an emoji as two character references, one for each half of its surrogate pair (&#55357;&#56832;),
// which XML forbids; they are joined before the XML is parsed. The phone's owner has no name in the file: --me gives it.
#pragma once

#include "conversation/importer.h"

namespace attune {

extern const Importer kSms;

}  // namespace attune
