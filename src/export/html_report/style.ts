/** Style sheet of the report. Colours are tokens, so that dark, light and print are one list each. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--ink:#1c1d21;--dim:#667;--rule:#e3e3e0;
--grid:#ececea;--accent:#0b63c5;--good:#16794a;--bad:#b3261e;--kept:#ebebe8;
--h0:#3b6fd4;--h1:#5a6472;--h2:#d9822b;--h3:#1e9b8a;--h4:#b4479b;--h5:#7a9a1f;--h6:#c7443f;--h7:#7b5cd6;
--t0:#3a1a6b;--t1:#4a3f9f;--t2:#3f6bb5;--t3:#2f8fb0;--t4:#2fae8f;--t5:#6cc36a;--t6:#b9cf3c;--t7:#f0c22b}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){--bg:#141519;--card:#1c1e24;
--ink:#ececf0;--dim:#9a9fac;--rule:#31343d;--grid:#282b33;--accent:#6db3ff;--good:#58c98b;--bad:#ff8a80;
--kept:#2b2e37;--h0:#6f9dff;--h1:#9aa6b8;--h2:#f2a65a;--h3:#4fd0bd;--h4:#e386cf;--h5:#b3d14f;--h6:#ff8079;--h7:#ab93ff;
--t0:#6a4bc0;--t1:#6470d8;--t2:#4f93dc;--t3:#3fb3cf;--t4:#46cdab;--t5:#86dd84;--t6:#cfe35c;--t7:#ffdd55}}
:root[data-theme=dark]{--bg:#141519;--card:#1c1e24;
--ink:#ececf0;--dim:#9a9fac;--rule:#31343d;--grid:#282b33;--accent:#6db3ff;--good:#58c98b;--bad:#ff8a80;
--kept:#2b2e37;--h0:#6f9dff;--h1:#9aa6b8;--h2:#f2a65a;--h3:#4fd0bd;--h4:#e386cf;--h5:#b3d14f;--h6:#ff8079;--h7:#ab93ff;
--t0:#6a4bc0;--t1:#6470d8;--t2:#4f93dc;--t3:#3fb3cf;--t4:#46cdab;--t5:#86dd84;--t6:#cfe35c;--t7:#ffdd55}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1200px;margin:0 auto;padding:0 24px 64px}
header{display:flex;gap:16px;align-items:baseline;padding:20px 0 6px;flex-wrap:wrap}
header h1{font-size:15px;margin:0;font-weight:600}
header .meta{color:var(--dim);font-size:13px;flex:1}
header button{font:inherit;font-size:13px;color:var(--dim);background:none;border:1px solid var(--rule);border-radius:6px;padding:2px 10px;cursor:pointer}
.lead{font-size:23px;line-height:1.4;font-weight:600;margin:10px 0 14px;letter-spacing:-.01em;max-width:60em}
.proof{display:inline-block;font-size:13px;border:1px solid var(--rule);border-radius:99px;padding:3px 12px;background:var(--card)}
.proof.exact::before{content:"✓ ";color:var(--good);font-weight:700}
.proof.inexact::before{content:"! ";color:var(--bad);font-weight:700}
.warn{border-left:4px solid var(--bad);padding:6px 12px;background:var(--card);margin:10px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:12px;margin:18px 0 8px}
.tile{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:12px 14px}
.tile b{display:block;font-size:24px;font-weight:650;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.tile span{color:var(--dim);font-size:13px}
section{margin-top:30px}
h2{font-size:18px;margin:0 0 2px;letter-spacing:-.01em}
td .bar{min-width:60px}
h2 small{font-size:12px;font-weight:500;color:var(--dim);border:1px solid var(--rule);border-radius:99px;padding:1px 8px;margin-left:8px;vertical-align:2px}
.explain{color:var(--dim);margin:0 0 10px;font-size:14px;max-width:75em}
.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:14px 16px;position:relative}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{font-size:12px;fill:var(--ink)}
svg .axis{fill:var(--dim);font-size:11.5px;font-variant-numeric:tabular-nums}
svg .lane-name{font-weight:600;font-size:13px}
.grid{stroke:var(--grid);stroke-width:1}
.cross{stroke:var(--dim);stroke-dasharray:3 3}
.h0{--c:var(--h0)}.h1{--c:var(--h1)}.h2{--c:var(--h2)}.h3{--c:var(--h3)}.h4{--c:var(--h4)}.h5{--c:var(--h5)}.h6{--c:var(--h6)}.h7{--c:var(--h7)}
.life{stroke:var(--c);stroke-width:1.5}
.rss{fill:var(--c);opacity:.2}
.shared{fill:var(--c);opacity:.95}
.edge{stroke:var(--c);fill:none;opacity:.75}
.end{fill:var(--card);stroke:var(--dim);stroke-width:1.5}
.line{stroke:var(--c);stroke-width:2;fill:none}
.dot{fill:var(--c)}
svg .label{fill:var(--c);font-weight:600}
.area{fill:var(--c);opacity:.8;stroke:var(--card);stroke-width:.8}
.total{stroke:var(--ink);stroke-width:1.4;stroke-dasharray:5 4;fill:none}
.t0{fill:var(--t0)}.t1{fill:var(--t1)}.t2{fill:var(--t2)}.t3{fill:var(--t3)}.t4{fill:var(--t4)}.t5{fill:var(--t5)}.t6{fill:var(--t6)}.t7{fill:var(--t7)}
.kept{fill:var(--kept)}
figure{margin:0 0 18px}
figcaption{font-size:13.5px;margin-bottom:4px}
.dim{color:var(--dim)}
.legend{display:flex;flex-wrap:wrap;gap:6px 16px;align-items:center;font-size:13px;margin:0 0 12px}
.legend svg{width:176px;flex:none}
.swatch{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px;background:var(--c)}
.f-child{--c:var(--h2);fill:var(--h2)}.f-parent{--c:var(--h6);fill:var(--h6)}.f-drop{--c:var(--h7);fill:var(--h7)}
.f-exec{--c:var(--h1);fill:var(--h1)}.f-exit{--c:var(--kept);fill:var(--kept)}.f-still{--c:var(--h3);fill:var(--h3)}
.folded{display:none}.more{font:inherit;font-size:13px;color:var(--accent);background:none;border:0;padding:8px 0 0;cursor:pointer}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px}
caption{text-align:left;color:var(--dim);font-size:13px;padding:0 0 6px}
th,td{padding:5px 10px 5px 0;border-bottom:1px solid var(--rule);text-align:left;vertical-align:middle}
tbody tr:last-child td{border-bottom:0}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;padding-left:6px}
th button{font:inherit;font-weight:600;color:var(--dim);background:none;border:0;padding:2px 0;cursor:pointer}
th[aria-sort=descending] button::after{content:" ↓"}th[aria-sort=ascending] button::after{content:" ↑"}
code{font:12.5px ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
.bar{height:4px;margin-top:3px}.bar rect{fill:var(--accent)}
.fates{min-width:200px}.fan{width:300px;height:12px}.fan rect{fill:var(--h2)}
.plain{width:auto;margin-top:14px}.plain th{font-weight:600;white-space:nowrap}
.advice{list-style:none;margin:0;padding:0;display:grid;gap:12px;grid-template-columns:repeat(auto-fit,minmax(320px,1fr))}
.advice li{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:14px 16px}
.advice b{font-size:21px;color:var(--good);font-variant-numeric:tabular-nums}
.advice h3{font-size:15px;margin:2px 0 6px}.advice p{margin:0 0 6px;font-size:13.5px}
.note{color:var(--dim);font-size:13px}
.tip{position:absolute;pointer-events:none;background:var(--ink);color:var(--bg);font-size:12px;line-height:1.45;padding:6px 9px;border-radius:6px;white-space:pre;z-index:2;font-variant-numeric:tabular-nums}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
footer{margin-top:40px;color:var(--dim);font-size:13px}
@media print{:root,:root[data-theme]{--bg:#fff;--card:#fff;--ink:#000;--dim:#444;--rule:#ccc;--grid:#e4e4e4}
header button,.more{display:none}main{max-width:none;padding:0}section,.card,figure,.advice li{break-inside:avoid}
body{font-size:11px;print-color-adjust:exact;-webkit-print-color-adjust:exact}.lead{font-size:17px}}
`;
