#include "report/style.h"

namespace attune {

const char* const kReportStyle = R"(
:root{color-scheme:light dark;--paper:#fbfaf7;--card:#fff;--ink:#22252b;--soft:#666c78;--line:#e3e1da;--a:#1f6feb;--b:#c2410c;--ok:#15803d;--bad:#b91c1c}
@media(prefers-color-scheme:dark){:root{--paper:#14161a;--card:#1c1f25;--ink:#e6e7ea;--soft:#9aa1ad;--line:#2d313a;--a:#6ea8fe;--b:#fb923c;--ok:#4ade80;--bad:#f87171}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:72rem;margin:0 auto;padding:1.25rem 1rem 3rem}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.1rem;margin:2rem 0 .6rem}
header p{margin:.2rem 0 1rem;color:var(--soft);overflow-wrap:anywhere}
.state{font-weight:600;color:var(--ok)}.state.stopped,.state.killed{color:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.75rem;margin:0}
.cards div{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.6rem .8rem}
.cards dt{color:var(--soft);font-size:.8rem}.cards dd{margin:0;font-size:1.15rem;font-variant-numeric:tabular-nums}
.cards dd small{display:block;color:var(--soft);font-size:.8rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,28rem),1fr));gap:1rem}
figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.7rem .8rem}
figcaption{font-weight:600}figcaption small{display:block;font-weight:400;color:var(--soft)}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--soft);font:12px system-ui,sans-serif;font-variant-numeric:tabular-nums}
@media(max-width:40rem){svg text{font-size:15px}}
svg .x{text-anchor:middle}svg .y{text-anchor:end}
.grid{stroke:var(--line);fill:none}.rule{stroke:var(--soft);stroke-dasharray:3 4;fill:none}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}.line.a{stroke:var(--a)}.line.b{stroke:var(--b)}
circle.a,rect{fill:var(--a)}circle.b{fill:var(--b)}
.legend{margin:.2rem 0 0;font-size:.85rem}.legend span{margin-right:1rem}
.legend span::before{content:"";display:inline-block;width:.7rem;height:.7rem;border-radius:50%;margin-right:.35rem;background:var(--a)}
.legend .b::before{background:var(--b)}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .7rem .35rem 0;border-bottom:1px solid var(--line)}
.n{text-align:right;font-variant-numeric:tabular-nums}
td{overflow-wrap:anywhere}
pre{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.8rem;overflow-x:auto;font-size:.85rem}
)";

// The page fetches itself from the server that it came from and takes the new content over.
const char* const kLiveScript = R"(
if(location.protocol.startsWith('http'))(function again(){setTimeout(async()=>{try{const page=new DOMParser()
.parseFromString(await(await fetch(location.href,{cache:'no-store'})).text(),'text/html');
document.querySelector('main').replaceWith(page.querySelector('main'))}catch(gone){return}again()},2000)})();
)";

}  // namespace attune
