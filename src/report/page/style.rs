//! The style sheet of the page: light and dark screens, narrow ones, and paper.
//!
//! Tables scroll in boxes of their own, under headings that stay, so that the page itself never scrolls
//! sideways. On paper nothing scrolls, so tables wrap there.

/// The style sheet.
pub(super) const STYLE: &str = "\
:root { color-scheme: light dark; --line: #d5d5d5; --soft: #5c5c5c; --back: #fff; --ink: #222; --card: #f6f6f6 }
@media (prefers-color-scheme: dark) { :root { --line: #444; --soft: #aaa; --back: #181818; --ink: #e8e8e8; --card: #242424 } }
* { box-sizing: border-box }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1500px; margin: 2rem auto; padding: 0 1rem; background: var(--back); color: var(--ink) }
h1, h2, h3, p, li, figcaption, summary { overflow-wrap: anywhere }
h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 2.5rem }
img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line); border-radius: 4px }
.box { overflow: auto; max-height: 85vh; max-width: 100%; width: fit-content; border: 1px solid var(--line); border-radius: 4px }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; white-space: nowrap }
th, td { padding: .3rem .55rem; font-size: .92rem; border-bottom: 1px solid var(--line); text-align: left; background: var(--back) }
thead th { position: sticky; top: 0; z-index: 2; background: var(--card) }
.board td:nth-child(2) { position: sticky; left: 0; z-index: 1 }
.board thead th:nth-child(2) { left: 0; z-index: 3 }
tr.best td { font-weight: 600 } td a { color: inherit }
.soft { color: var(--soft) }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 1.5rem }
figure { margin: 0; min-width: 0 } figcaption { margin-top: .3rem }
.pair { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start } .pair > * { min-width: 0; max-width: 100% } .pair figure { flex: 0 1 44rem }
details { margin-top: .3rem } summary { cursor: pointer }
.others { columns: 26rem; padding-left: 1.2rem } .others li { break-inside: avoid }
pre { background: var(--card); padding: 1rem; overflow-x: auto; border-radius: 4px; max-width: 100% }
:target { outline: 3px solid #d55e00; outline-offset: 3px }
@page { size: landscape; margin: 11mm }
@media print {
  :root { color-scheme: light; --line: #ccc; --soft: #555; --back: #fff; --ink: #000; --card: #f4f4f4 }
  body { max-width: none; margin: 0; padding: 0; font-size: 10pt }
  .box { overflow: visible; max-height: none; width: auto; border: 0 }
  table { width: 100%; white-space: normal }
  th, td { font-size: 7.5pt; padding: 1.5pt 3pt; overflow-wrap: anywhere }
  thead { display: table-header-group } thead th, .board td:nth-child(2) { position: static }
  tr, figure, img { break-inside: avoid } h2, h3 { break-after: avoid; margin-top: 1.2rem }
  img { max-height: 165mm; max-width: 100%; width: auto }
  .grid { grid-template-columns: 1fr 1fr; gap: 6mm } .pair { display: block }
  .pair img { max-height: 120mm } details:not([open]) { display: none }
  pre { white-space: pre-wrap; overflow: visible; overflow-wrap: anywhere }
  :target { outline: none }
}
";
