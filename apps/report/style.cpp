#include "apps/report/page.h"

namespace fettle {

// Dark only on screens, so that paper stays white. No <, > or & in it: the page is XML, too.
std::string style_sheet() {
  return R"CSS(
:root {
  --paper: #ffffff; --panel: #f5f7f9; --ink: #17212b; --quiet: #56636f; --line: #d5dce2;
  --accent: #0b5cad; --good: #1c7a45; --bad: #b3261e; --warn: #8a5a00; --warn-panel: #fff6e0;
  --line0: #c24a00; --line1: #0b6fb8; --line2: #8f7a00; --line3: #007a59; --line4: #a8478a;
  --line5: #a86a00; --line6: #3c4bb8;
  --hit: 28 122 69; --miss: 179 38 30;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #12181e; --panel: #1b242c; --ink: #e6ebef; --quiet: #a2b0bc; --line: #35424e;
    --accent: #7ab8f5; --good: #6fce9a; --bad: #ff9d94; --warn: #f0c36a; --warn-panel: #2b2517;
    --line0: #ff8f4d; --line1: #6fbdf5; --line2: #e8d44a; --line3: #4fd1a5; --line4: #e59acb;
    --line5: #f0b14a; --line6: #a3adff;
    --hit: 79 180 120; --miss: 230 100 90;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 70rem; padding: 1.5rem clamp(0.9rem, 3vw, 2.5rem) 3rem;
  background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1 { font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.2; margin: 0.1em 0 0.35em; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 2.8rem 0 0.7rem; padding-bottom: 0.3rem; border-bottom: 2px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 0.3rem; }
h3 small { color: var(--quiet); font-weight: 400; margin-left: 0.4rem; }
p { margin: 0.5rem 0; max-width: 46rem; }
a { color: var(--accent); }
code, pre { font: 0.86rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
pre {
  background: var(--panel); border: 1px solid var(--line); border-radius: 8px;
  padding: 0.8rem 1rem; white-space: pre-wrap; overflow-wrap: anywhere;
}
.kicker { color: var(--quiet); font-size: 0.85rem; letter-spacing: 0.06em; text-transform: uppercase; margin: 0; }
.lead { font-size: 1.12rem; max-width: 52rem; }
.quiet { color: var(--quiet); font-size: 0.92rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: 0.35rem 1.1rem; padding: 0.6rem 0; margin: 0.8rem 0 0; border-top: 1px solid var(--line); }
footer { margin-top: 3.5rem; border-top: 1px solid var(--line); color: var(--quiet); font-size: 0.88rem; }

.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 0.9rem; margin: 1.2rem 0; }
.tile { background: var(--panel); border: 1px solid var(--line); border-top: 4px solid var(--accent); border-radius: 8px; padding: 0.8rem 1rem; }
.tile.good { border-top-color: var(--good); }
.tile.bad { border-top-color: var(--bad); }
.tile .name { margin: 0; font-weight: 600; font-size: 0.95rem; }
.tile .value { margin: 0.1rem 0; font-size: 2rem; font-weight: 700; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tile .note { margin: 0; color: var(--quiet); font-size: 0.88rem; line-height: 1.4; }

.notes { list-style: none; padding: 0; margin: 1rem 0; display: grid; gap: 0.6rem; }
.notes li { background: var(--warn-panel); border-left: 5px solid var(--warn); border-radius: 4px; padding: 0.6rem 0.9rem; max-width: 54rem; }
.notes strong { color: var(--warn); }

.scroll { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.95rem; }
caption { text-align: left; color: var(--quiet); font-size: 0.9rem; padding-bottom: 0.4rem; }
th, td { padding: 0.38rem 0.85rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child { text-align: left; }
thead th { border-bottom: 2px solid var(--line); font-size: 0.88rem; color: var(--quiet); vertical-align: bottom; }
tbody th { font-weight: 600; }
tr.marked { background: var(--panel); }
tr.marked th, tr.marked td { font-weight: 700; }
td small, th small { color: var(--quiet); font-weight: 400; }
.confusion td { text-align: center; min-width: 6rem; }
.confusion td b { display: block; font-size: 1.15rem; }
.confusion td.right { background: rgb(var(--hit) / calc(0.08 + 0.4 * var(--share))); }
.confusion td.wrong { background: rgb(var(--miss) / calc(0.65 * var(--share))); }
.confusion thead th { text-align: center; }
.confusion thead th:first-child { text-align: left; }
.confusion thead small { display: block; }

.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.2rem; margin: 1rem 0; }
figure { margin: 0; }
figure.chart { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem; max-width: 34rem; }
figure.chart svg { display: block; width: 100%; height: auto; }
figure.chart figcaption { color: var(--quiet); font-size: 0.9rem; padding: 0.4rem 0.5rem 0.2rem; line-height: 1.45; }
.chart text { font-size: 16px; fill: var(--ink); }
.chart text.title { font-weight: 600; font-size: 18px; }
.chart .paper { fill: none; }
.chart .grid { stroke: var(--line); }
.chart .diagonal { stroke: var(--quiet); }
.chart .rule { stroke: var(--ink); }
.chart .mark { stroke: var(--ink); }
.chart .line0 { stroke: var(--line0); } .chart .line1 { stroke: var(--line1); }
.chart .line2 { stroke: var(--line2); } .chart .line3 { stroke: var(--line3); }
.chart .line4 { stroke: var(--line4); } .chart .line5 { stroke: var(--line5); }
.chart .line6 { stroke: var(--line6); }

.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1rem; margin: 0.9rem 0; align-items: start; }
.gallery.rows { display: flex; flex-wrap: wrap; }
.gallery.rows .shot { flex: var(--aspect) 1 max(13rem, var(--aspect) * 13rem); max-width: min(100%, max(15rem, var(--aspect) * 20rem)); }
.gallery.rows .drawn { max-width: calc(var(--aspect) * 22rem); margin: 0 auto; }
.shot { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 0.6rem; break-inside: avoid; }
.shot .pair { display: grid; grid-template-columns: 1fr 1fr; gap: 0.4rem; align-items: start; }
.shot .pair.stacked { grid-template-columns: 1fr; }
.shot .drawn { position: relative; }
.shot img { display: block; width: 100%; height: auto; border-radius: 3px; background: #808080; }
.shot .drawn svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.shot figcaption { font-size: 0.9rem; line-height: 1.4; padding-top: 0.5rem; }
.shot .file { color: var(--quiet); font-size: 0.84rem; overflow-wrap: anywhere; }
.shot p { margin: 0.15rem 0; }
.swatch { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; border: 1px solid var(--quiet); vertical-align: -0.05em; margin-right: 0.25em; }
.halo { fill: none; stroke: #000; stroke-opacity: 0.55; stroke-width: 3.5px; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.truth { fill: none; stroke-width: 1.6px; stroke-dasharray: 4 3; vector-effect: non-scaling-stroke; }
.found { fill-opacity: 0.2; stroke-width: 1.8px; vector-effect: non-scaling-stroke; }
.legend { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 0.4rem 1.4rem; font-size: 0.92rem; }
.legend svg { width: 2.6rem; height: 1.1rem; vertical-align: middle; margin-right: 0.4rem; background: #6b747c; border-radius: 3px; }

details { margin: 1rem 0; border: 1px solid var(--line); border-radius: 8px; padding: 0.5rem 0.9rem; }
summary { cursor: pointer; font-weight: 600; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 0.3rem 1.5rem; margin: 1rem 0; }
.facts div { display: grid; grid-template-columns: 9.5rem 1fr; gap: 0.6rem; border-bottom: 1px solid var(--line); padding: 0.25rem 0; }
.facts dt { color: var(--quiet); } .facts dd { margin: 0; overflow-wrap: anywhere; }
.glossary dt { font-weight: 600; margin-top: 0.7rem; } .glossary dd { margin: 0.1rem 0 0; max-width: 46rem; }

@media (max-width: 40rem) {
  table { font-size: 0.88rem; } th, td { padding: 0.35rem 0.45rem; }
  .scroll th:first-child { position: sticky; left: 0; background: var(--paper); white-space: normal; }
  .confusion td { min-width: 4.5rem; }
}

@media print {
  @page { margin: 14mm; }
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  h2 { margin-top: 1.6rem; break-after: avoid; } h3, h3 + p { break-after: avoid; }
  .tile, .notes li, figure.chart, tr { break-inside: avoid; }
  .gallery { grid-template-columns: repeat(3, 1fr); gap: 0.6rem; }
  .gallery.rows .shot { flex-basis: max(40mm, var(--aspect) * 38mm); max-width: max(56mm, var(--aspect) * 50mm); }
  table { font-size: 8.5pt; } th, td { padding: 1mm 1.6mm; } thead th { white-space: normal; overflow-wrap: anywhere; }
  .scroll { overflow: visible; }
  details::details-content { content-visibility: visible; block-size: auto; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)CSS";
}

}  // namespace fettle
