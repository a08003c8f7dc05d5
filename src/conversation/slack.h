// Slack: a workspace export (zip archive or its folder).
//   users.json                  [{"id","name","real_name","is_bot","profile":{"display_name","real_name"}}]
//   <channel>/2016-01-14.json   [{"type":"message","subtype","user","bot_id","text","ts","thread_ts","files","edited"}]
// A channel is one chat. The replies of a thread stand behind the message that they answer, as they are read in Slack.
// Text is Slack's mrkdwn: <@U..> and <#C..|name> become names, links their labels, &amp; &lt; &gt; characters.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "conversation/importer.h"

namespace attune {

extern const Importer kSlack;

// Slack's own marks in a text replaced by what people see; `users` gives names by id.
std::string slack_text(std::string_view text, const std::map<std::string, std::string>& users);

}  // namespace attune
