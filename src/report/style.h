// What the report's page looks like, and how it renews itself while it is served.
#pragma once

namespace attune {

extern const char* const kReportStyle;
extern const char* const kLiveScript;

}  // namespace attune
