// The script of the page: sorting, filtering, comparing curves, and following a sweep that runs.
//
// The page is whole without it. It asks nothing of any server but, on a page that a server shows, the events of this
// server. Texts become elements through textContent or `escaped`; HTML comes from the program alone.
"use strict";
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const escaped = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  const data = JSON.parse(one("#data").textContent);
  const PICKED_MAX = 24;
  const state = { picked: new Set(), words: "", kind: "", sort: null, brushes: new Map(), figure: 1, at: null };
  let shown = new Set();

  // A number as people read it, and what a cell is sorted by: its number, its duration, or its text.
  const number = (value, digits = 4) => (value === null ? "–" : String(+value.toPrecision(digits)));
  const inCell = (cell) => {
    if (!cell) return null;
    const text = cell.dataset.v ?? cell.textContent.trim();
    if (text === "" || text === "–" || text === "NaN") return null;
    const found = /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?(?=$|[\s\[†≈])/i.exec(text);
    return found ? parseFloat(found[0]) : text.toLowerCase();
  };

  // A word that hovers beside the pointer.
  const tip = element("div", { id: "tip", hidden: true });
  const said = element("div", { id: "said", className: "unseen" });
  said.setAttribute("role", "status");
  document.body.append(tip, said);
  const showTip = (text, x, y) => {
    tip.textContent = text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${y + 16 + height > innerHeight ? Math.max(4, y - height - 12) : y + 16}px`;
  };
  document.addEventListener("pointerover", (event) => {
    const mark = event.target.closest?.("svg [data-tip], svg circle, svg path, svg rect");
    const title = mark && one(":scope > title", mark);
    if (title) {
      // The browser's own tip would come late and a second time.
      mark.dataset.tip = title.textContent;
      title.remove();
    }
    if (mark?.dataset.tip) {
      mark.classList.add("hover");
      showTip(mark.dataset.tip, event.clientX, event.clientY);
      mark.addEventListener("pointerleave", () => {
        mark.classList.remove("hover");
        tip.hidden = true;
      }, { once: true });
    }
  });
  document.addEventListener("click", (event) => {
    const mark = event.target.closest?.("svg [data-trial]");
    if (mark) pick(+mark.dataset.trial);
  });

  const pick = (id, is = !state.picked.has(id)) => {
    if (is) state.picked.add(id);
    else state.picked.delete(id);
    while (state.picked.size > PICKED_MAX) state.picked.delete(state.picked.values().next().value);
    refresh();
  };

  // The leaderboard.
  const board = one("#board");
  const bar = element("div", { className: "bar", id: "filter" });
  const search = element("input", { type: "search", placeholder: "words, or: dropout=0.1 val loss<0.4" });
  const kinds = element("select");
  const counted = element("span", { className: "soft" });
  counted.setAttribute("role", "status");
  const clear = element("button", { type: "button", textContent: "Show all" });
  const best = element("button", { type: "button", textContent: "Compare the first 5" });
  const none = element("button", { type: "button", textContent: "Compare none" });
  bar.append(element("label", {}, "Filter ", search), element("label", {}, "State ", kinds), clear, best, none, counted);
  search.addEventListener("input", () => { state.words = search.value; refresh(); });
  kinds.addEventListener("change", () => { state.kind = kinds.value; refresh(); });
  clear.addEventListener("click", () => {
    Object.assign(state, { words: "", kind: "" });
    search.value = "";
    state.brushes.clear();
    refresh();
  });
  best.addEventListener("click", () => {
    state.picked = new Set(ordered().filter((row) => !row.hidden).slice(0, 5).map((row) => +row.dataset.trial));
    refresh();
  });
  none.addEventListener("click", () => { state.picked.clear(); refresh(); });

  const headings = () => all("thead th:not(.pick)", board).map((th) => th.dataset.name);
  const prepareHead = () => {
    const row = one("thead tr", board);
    const head = element("th", { className: "pick" }, element("span", { className: "unseen", textContent: "compare" }));
    head.scope = "col";
    all("th", row).forEach((th, at) => {
      const button = element("button", { type: "button", textContent: th.textContent });
      button.addEventListener("click", () => {
        const before = state.sort?.at === at ? state.sort : null;
        // Up, then down, then as it was.
        state.sort = !before ? { at, down: false } : before.down ? null : { at, down: true };
        refresh();
      });
      th.dataset.name = th.textContent.trim();
      // Chromium prints no buttons in the headings that it repeats on each page.
      th.replaceChildren(button, element("span", { className: "on-paper", textContent: th.dataset.name }));
    });
    row.prepend(head);
  };
  const prepareRow = (row) => {
    const box = element("input", { type: "checkbox" });
    box.setAttribute("aria-label", `compare trial ${row.dataset.trial}`);
    box.addEventListener("change", () => pick(+row.dataset.trial, box.checked));
    row.prepend(element("td", { className: "pick" }, box));
  };
  const rows = () => all("tbody tr", board);
  const cellAt = (row, at) => row.children[at + 1];
  const ordered = () => {
    const places = new Map(data.order.map((id, at) => [id, at]));
    const byPlace = (a, b) => places.get(+a.dataset.trial) - places.get(+b.dataset.trial);
    const list = rows().sort(byPlace);
    if (!state.sort) return list;
    const { at, down } = state.sort;
    const values = new Map(list.map((row) => [row, inCell(cellAt(row, at))]));
    return list.sort((a, b) => {
      const [x, y] = [values.get(a), values.get(b)];
      // What has no value stays last in either order.
      if (x === null || y === null) return (x === null) - (y === null) || byPlace(a, b);
      const order = typeof x === typeof y ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === "number" ? -1 : 1;
      return (down ? -order : order) || byPlace(a, b);
    });
  };
  const conditions = (names) => {
    let text = state.words;
    const found = [];
    // Long names first: `val loss<0.4` is about "val loss".
    for (const name of [...names].sort((a, b) => b.length - a.length)) {
      const plain = name.replace(/\s*\[.*\]/, "").replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      text = text.replace(new RegExp(`(?:^|(?<=\\s))${plain}\\s*(<=|>=|<|>|=)\\s*(\\S+)`, "gi"), (_, sign, value) => {
        found.push({ at: names.indexOf(name), sign, value: value.toLowerCase() });
        return " ";
      });
    }
    return { found, words: text.toLowerCase().split(/\s+/).filter(Boolean) };
  };
  const holds = (cell, { sign, value }) => {
    const held = inCell(cell);
    if (sign === "=" && String(held) === value) return true;
    const wanted = parseFloat(value);
    if (typeof held !== "number" || Number.isNaN(wanted)) return false;
    return { "<": held < wanted, ">": held > wanted, "<=": held <= wanted, ">=": held >= wanted, "=": held === wanted }[sign];
  };
  const isBrushed = (id) => {
    if (!state.brushes.size) return true;
    const line = one(`#parallel path[data-trial="${id}"]`);
    const heights = line ? line.dataset.y.split(" ").map(Number) : [];
    return [...state.brushes].every(([at, [top, bottom]]) => heights[at] >= top - 0.05 && heights[at] <= bottom + 0.05);
  };
  const refreshBoard = () => {
    const { found, words } = conditions(headings());
    shown = new Set();
    for (const row of rows()) {
      const text = row.textContent.toLowerCase();
      const is = (!state.kind || row.dataset.state === state.kind) && words.every((word) => text.includes(word))
        && found.every((each) => holds(cellAt(row, each.at), each)) && isBrushed(row.dataset.trial);
      row.hidden = !is;
      row.classList.toggle("picked", state.picked.has(+row.dataset.trial));
      one(".pick input", row).checked = state.picked.has(+row.dataset.trial);
      if (is) shown.add(+row.dataset.trial);
    }
    const body = one("tbody", board);
    const list = ordered();
    if (list.some((row, at) => body.children[at] !== row)) body.replaceChildren(...list);
    all("thead th:not(.pick)", board).forEach((th, at) => {
      const sorted = state.sort?.at === at ? (state.sort.down ? "descending" : "ascending") : null;
      if (sorted) th.setAttribute("aria-sort", sorted);
      else th.removeAttribute("aria-sort");
    });
    const states = [...new Set(rows().map((row) => row.dataset.state))].sort();
    const wanted = ["", ...states];
    if (all("option", kinds).map((option) => option.value).join() !== wanted.join()) {
      kinds.replaceChildren(...wanted.map((value) => element("option", { value, textContent: value || "all" })));
      kinds.value = state.kind;
    }
    counted.textContent = `${shown.size} of ${rows().length} trials, ${state.picked.size} compared`;
  };

  // The curves: those of all trials that the filter lets through, and on top those that are compared.
  const FIGURES = [["validation loss", 1], [`validation ${data.meta.f1 ?? "F1"}`, 2], ["training loss", 3]];
  const curves = { series: [], place: null };
  const figures = element("select");
  FIGURES.forEach(([name, value]) => figures.append(element("option", { value, textContent: name })));
  figures.addEventListener("change", () => { state.figure = +figures.value; refreshCurves(); });
  const ticks = (low, high, most) => {
    const least = (high - low) / most;
    const decade = 10 ** Math.floor(Math.log10(least));
    const step = [1, 2, 5, 10].map((digit) => digit * decade).find((each) => each >= least * (1 - 1e-9));
    const found = [];
    for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + step * 1e-9; at += step) found.push(+at.toPrecision(12));
    return found;
  };
  const logTicks = (low, high) => {
    const found = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) found.push(10 ** e);
    const within = found.filter((at) => at >= low && at <= high);
    return within.length > 1 ? within : ticks(low, high, 5);
  };
  const nameOf = (id) => {
    const trial = data.trials[id];
    const values = Object.entries(trial.params).map(([name, value]) => `${name} ${value}`).join(", ");
    return values ? `${trial.name}: ${values}` : trial.name;
  };
  const drawCurves = (room) => {
    const ids = data.order.filter((id) => data.trials[id]?.curve.length && (shown.has(id) || state.picked.has(id)));
    const points = ids.flatMap((id) => data.trials[id].curve);
    const values = points.map((point) => point[state.figure]).filter((value) => value !== null);
    if (!values.length) return "<p class=\"soft\">No evaluation to draw.</p>";
    const width = Math.max(280, Math.round(room)), height = width < 600 ? 300 : 380;
    const [left, right, top, bottom] = [54, 12, 28, 44];
    const min = (list) => list.reduce((a, b) => Math.min(a, b), Infinity);
    const max = (list) => list.reduce((a, b) => Math.max(a, b), -Infinity);
    const epochs = points.map((point) => point[0]);
    let [x0, x1, y0, y1] = [min(epochs), max(epochs), min(values), max(values)];
    if (x0 === x1) [x0, x1] = [x0 - 0.5, x1 + 0.5];
    const isLog = y0 > 0 && y1 / y0 > 50;
    const up = isLog ? Math.log : (y) => y;
    let [low, high] = [up(y0), up(y1)];
    const margin = (high - low) * 0.05 || Math.abs(high) * 0.05 || 0.5;
    [low, high] = [low - margin, high + margin];
    const x = (epoch) => left + (width - left - right) * (epoch - x0) / (x1 - x0);
    const y = (value) => height - bottom - (height - top - bottom) * (up(value) - low) / (high - low);
    const lines = [];
    const put = (text) => lines.push(text);
    const [yLow, yHigh] = isLog ? [Math.exp(low), Math.exp(high)] : [low, high];
    for (const at of isLog ? logTicks(yLow, yHigh) : ticks(yLow, yHigh, 6)) {
      put(`<line class="rule" x1="${left}" x2="${width - right}" y1="${y(at).toFixed(1)}" y2="${y(at).toFixed(1)}"/>`);
      put(`<text class="end" x="${left - 6}" y="${(y(at) + 4).toFixed(1)}">${number(at)}</text>`);
    }
    for (const at of ticks(x0, x1, Math.max(3, Math.floor(width / 90)))) {
      put(`<text class="mid" x="${x(at).toFixed(1)}" y="${height - bottom + 18}">${number(at)}</text>`);
    }
    put(`<line class="axis" x1="${left}" x2="${width - right}" y1="${height - bottom}" y2="${height - bottom}"/>`);
    const name = FIGURES.find(([, value]) => value === state.figure)[0] + (isLog ? " (log scale)" : "");
    put(`<text class="name" x="4" y="16">${escaped(name)}</text>`);
    put(`<text class="name mid" x="${(left + width - right) / 2}" y="${height - 6}">epoch</text>`);
    curves.series = [];
    const picked = [...state.picked].filter((id) => ids.includes(id));
    const draw = (id, kind) => {
      const places = data.trials[id].curve.map((point) =>
        point[state.figure] === null ? null : [x(point[0]), y(point[state.figure]), point]);
      const known = places.filter(Boolean);
      if (known.length === 1) {
        put(`<circle class="dot ${kind}" cx="${known[0][0].toFixed(1)}" cy="${known[0][1].toFixed(1)}" r="4"/>`);
      } else {
        const d = places.map((at, i) => (at ? `${i && places[i - 1] ? "L" : "M"}${at[0].toFixed(1)} ${at[1].toFixed(1)}` : "")).join("");
        put(`<path class="line ${kind}" d="${d}"/>`);
      }
      curves.series.push({ id, places: known });
    };
    // The best is drawn last, on top; what is compared above all.
    const quiet = !picked.length ? "" : ids.length > 100 ? " quiet many" : " quiet";
    [...ids].reverse().filter((id) => !state.picked.has(id)).forEach((id) => draw(id, data.trials[id].class + quiet));
    picked.forEach((id, at) => draw(id, `compared s${at % 8} d${Math.floor(at / 8) % 3}`));
    put("<circle class=\"here\" r=\"0\"/>");
    const words = `${name} by epoch of ${ids.length} trials; arrow keys walk along the curves`;
    return `<svg class="curves" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" tabindex="0" role="img" aria-label="${escaped(words)}">${lines.join("")}</svg>`;
  };
  const describe = ({ id }, [, , [epoch, loss, f1, train]]) =>
    `${nameOf(id)}\nepoch ${number(epoch)}: validation loss ${number(loss)}, ${data.meta.f1 ?? "F1"} ${number(f1)}, training loss ${number(train)}`;
  const goTo = (series, place, isSaid) => {
    const svg = one("#curves svg");
    const here = one(".here", svg);
    here.setAttribute("r", 6);
    here.setAttribute("cx", place[0]);
    here.setAttribute("cy", place[1]);
    const box = svg.getBoundingClientRect();
    showTip(describe(series, place), box.left + place[0] * box.width / svg.viewBox.baseVal.width, box.top + place[1]);
    if (isSaid) said.textContent = describe(series, place);
  };
  const leave = () => {
    tip.hidden = true;
    one("#curves .here")?.setAttribute("r", 0);
  };
  const refreshCurves = () => {
    const chart = one("#curves .chart");
    if (!chart) return;
    chart.innerHTML = drawCurves(chart.clientWidth);
    const legend = one("#curves .legend");
    const picked = [...state.picked].filter((id) => data.trials[id]);
    legend.replaceChildren(...picked.map((id, at) => {
      const button = element("button", { type: "button", title: "compare no longer" },
        element("span", { className: `key s${at % 8} d${Math.floor(at / 8) % 3}` }), ` ${nameOf(id)}`);
      button.addEventListener("click", () => pick(id, false));
      return element("li", {}, button);
    }));
    const svg = one("svg", chart);
    if (!svg) return;
    const nearest = (event) => {
      const box = svg.getBoundingClientRect();
      const scale = svg.viewBox.baseVal.width / box.width;
      const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
      let found = null;
      for (const series of curves.series) {
        for (const place of series.places) {
          const distance = (place[0] - px) ** 2 + (place[1] - py) ** 2;
          if (!found || distance <= found.distance) found = { series, place, distance };
        }
      }
      return found && found.distance < 900 ? found : null;
    };
    svg.addEventListener("pointermove", (event) => {
      const found = nearest(event);
      if (found) goTo(found.series, found.place, false);
      else leave();
    });
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("blur", leave);
    svg.addEventListener("click", (event) => {
      const found = nearest(event);
      if (found) pick(found.series.id);
    });
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [1, 0], ArrowDown: [-1, 0] }[event.key];
      const last = curves.series.length - 1;
      if (event.key === "Enter" && curves.at) {
        const { id } = curves.series[curves.at[0]];
        pick(id);
        one("#curves svg").focus();
        return;
      }
      if (!step || last < 0) return;
      event.preventDefault();
      const [series, place] = curves.at ?? [last, -1];
      const at = Math.min(last, Math.max(0, series + step[0]));
      const most = curves.series[at].places.length - 1;
      curves.at = [at, Math.min(most, Math.max(0, place + step[1]))];
      if (most >= 0) goTo(curves.series[at], curves.series[at].places[curves.at[1]], true);
    });
  };
  const prepareCurves = () => {
    const part = one("#curves");
    if (!part || !board) return;
    part.replaceChildren(
      element("div", { className: "bar" }, element("label", {}, "Figure ", figures),
        element("span", { className: "soft", textContent: "Choose trials in the leaderboard, or click curves, to compare them." })),
      element("div", { className: "chart" }), element("ul", { className: "legend" }));
    figures.value = state.figure;
  };

  // The parallel coordinates: dragging along an axis filters, and so do the arrow keys on it.
  const prepareParallel = () => {
    const svg = one("#parallel svg");
    if (!svg) return;
    const point = (event) => {
      const box = svg.getBoundingClientRect();
      return (event.clientY - box.top) * svg.viewBox.baseVal.height / box.height;
    };
    all(".coordinate", svg).forEach((axis, at) => {
      const [x, top, bottom] = [axis.dataset.x, axis.dataset.top, axis.dataset.bottom].map(Number);
      const add = (name, attributes) => {
        const made = document.createElementNS(svg.namespaceURI, name);
        Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
        axis.append(made);
        return made;
      };
      const hold = add("rect", { class: "hold", x: x - 16, width: 32, y: top - 6, height: bottom - top + 12 });
      const brush = add("rect", { class: "brush", x: x - 8, width: 16, y: top, height: 0 });
      Object.entries({ tabindex: 0, role: "slider", "aria-orientation": "vertical", "aria-valuemin": 0, "aria-valuemax": 100,
        "aria-label": `${axis.dataset.name}: arrows move the lower end of the filter, with Shift the upper one, Escape removes it` })
        .forEach(([key, value]) => axis.setAttribute(key, value));
      const show = () => {
        const [from, to] = state.brushes.get(at) ?? [top, top];
        brush.setAttribute("y", from);
        brush.setAttribute("height", to - from);
        const low = state.brushes.has(at) ? Math.round(100 * (bottom - to) / (bottom - top)) : 0;
        axis.setAttribute("aria-valuenow", low);
        axis.setAttribute("aria-valuetext", state.brushes.has(at)
          ? `${low} to ${Math.round(100 * (bottom - from) / (bottom - top))} % of the axis` : "no filter");
      };
      const set = (from, to) => {
        if (to - from < 3) state.brushes.delete(at);
        else state.brushes.set(at, [Math.max(top, from), Math.min(bottom, to)]);
        show();
        refresh();
      };
      hold.addEventListener("pointerdown", (event) => {
        const begun = point(event);
        hold.setPointerCapture(event.pointerId);
        const move = (moved) => set(Math.min(begun, point(moved)), Math.max(begun, point(moved)));
        hold.addEventListener("pointermove", move);
        const end = () => hold.removeEventListener("pointermove", move);
        hold.addEventListener("pointerup", (up) => { move(up); end(); }, { once: true });
        hold.addEventListener("pointercancel", end, { once: true });
      });
      axis.addEventListener("keydown", (event) => {
        if (event.key === "Escape") return set(0, 0);
        const step = { ArrowUp: -12, ArrowDown: 12 }[event.key];
        if (!step) return;
        event.preventDefault();
        let [from, to] = state.brushes.get(at) ?? [top, bottom];
        if (event.shiftKey) from = Math.min(to - 6, Math.max(top, from + step));
        else to = Math.max(from + 6, Math.min(bottom, to + step));
        if (from <= top && to >= bottom) set(0, 0);
        else set(from, to);
      });
      show();
    });
  };
  const refreshMarks = () => {
    for (const mark of all("#part-settings [data-trial]")) {
      const id = +mark.dataset.trial;
      mark.classList.toggle("out", !shown.has(id));
      mark.classList.toggle("chosen", state.picked.has(id));
    }
    for (const brush of all("#parallel .coordinate")) {
      if (!state.brushes.size) one(".brush", brush)?.setAttribute("height", 0);
    }
  };

  let isDue = false;
  const refresh = () => {
    if (isDue || !board) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      refreshBoard();
      refreshCurves();
      refreshMarks();
    });
  };
  if (board) {
    board.parentElement.before(bar);
    prepareHead();
    rows().forEach(prepareRow);
    prepareCurves();
    prepareParallel();
    document.documentElement.classList.add("js");
    refreshBoard();
    refreshCurves();
    refreshMarks();
    let width = innerWidth;
    addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; refresh(); } });
    addEventListener("beforeprint", () => {
      const chart = one("#curves .chart");
      if (chart) chart.innerHTML = drawCurves(960);
    });
    addEventListener("afterprint", refresh);
  }

  // A page that a server shows follows its sweep.
  const live = document.body.dataset.live;
  if (live === undefined) return;
  const note = element("p", { id: "live", className: "soft" });
  note.setAttribute("role", "status");
  one("h1").after(note);
  let version = live;
  const fromHtml = (html) => {
    const template = document.createElement("template");
    template.innerHTML = html;
    return template.content;
  };
  const take = (change) => {
    if (change.program !== document.body.dataset.program) return location.reload();
    version = change.version;
    if (change.whole) data.trials = {};
    if (change.meta) data.meta = change.meta;
    if (change.order) data.order = change.order;
    Object.assign(data.trials, change.trials);
    if (board) {
      if (change.head) {
        one("thead", board).innerHTML = change.head;
        state.sort = null;
        prepareHead();
      }
      for (const [id, html] of Object.entries(change.rows ?? {})) {
        const row = fromHtml(html).firstElementChild;
        prepareRow(row);
        const old = one(`tbody tr[data-trial="${id}"]`, board);
        if (old) old.replaceWith(row);
        else one("tbody", board).append(row);
      }
      const known = new Set(data.order);
      rows().filter((row) => !known.has(+row.dataset.trial)).forEach((row) => row.remove());
    } else if (change.head) {
      return location.reload();
    }
    for (const [name, html] of Object.entries(change.parts ?? {})) {
      if (name === "curves" && board) continue;
      const part = document.getElementById(`part-${name}`);
      if (!part) return location.reload();
      const open = new Set(all("details[open]", part).map((details) => details.parentElement.id));
      part.innerHTML = html;
      all("details", part).forEach((details) => { details.open = open.has(details.parentElement.id); });
      if (name === "settings") prepareParallel();
    }
    refresh();
  };
  const follow = () => {
    const events = new EventSource(`events?from=${encodeURIComponent(version)}`);
    const mark = (text, is) => { note.textContent = text; note.classList.toggle("lost", is); };
    events.addEventListener("open", () => mark("Live: this page follows the sweep.", false));
    events.addEventListener("change", (event) => {
      take(JSON.parse(event.data));
      mark(`Live: this page follows the sweep. Last change at ${new Date().toLocaleTimeString()}.`, false);
    });
    events.addEventListener("error", () => {
      mark("The server does not answer; trying again.", true);
      events.close();
      setTimeout(follow, 1000 + 1000 * Math.random());
    });
  };
  follow();
})();
