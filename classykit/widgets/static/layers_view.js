// @ts-check
// The layers of the chosen block in the order in which they run, and one value of one of them.

const LANE = 7; // pixels between two skips
const AXIS = 13; // and from the last of them to the edge
const LANES = 5; // more stand on one another

/** @typedef {{ name: string, type: string, output: string, params?: string, macs?: string, adds?: boolean, share?: number,
 *   percent?: string, opens?: boolean, takes?: number[] }} LayerRow without MACs no share; takes: not the one before */
/** @typedef {{ from: number, ends: Set<number>, last: number, lane: number }} Skip */

/** @type {(row: LayerRow, index: number) => number[]} */
const sources = (row, index) => row.takes ?? [index - 1];

/**
 * The skips past other layers, one from each layer that has some, in a lane where no other is; the shortest go next to
 * the layers.
 * @param {LayerRow[]} rows
 * @returns {Skip[]}
 */
function skipsOf(rows) {
  /** @type {Map<number, Skip>} */
  const found = new Map();
  rows.forEach((row, to) => {
    for (const from of sources(row, to).filter((place) => place < to - 1)) {
      const skip = found.get(from) ?? { from, ends: new Set(), last: to, lane: 0 };
      skip.ends.add(to);
      skip.last = to;
      found.set(from, skip);
    }
  });
  const skips = [...found.values()].sort((one, other) => one.last - one.from - (other.last - other.from));
  skips.forEach((skip, i) => {
    const beside = skips.slice(0, i).filter((other) => other.from < skip.last && skip.from < other.last);
    while (skip.lane < LANES - 1 && beside.some((other) => other.lane === skip.lane)) skip.lane += 1;
  });
  return skips;
}

/** @param {ViewProps<PaneTraits>} props */
function render({ model, el, tools }) {
  const head = h("tr");
  const body = h("tbody");
  const table = h("table", { class: "ck-table ck-layers" }, h("thead", {}, head), body);
  const box = h("div", { class: "ck-table-box ck-layers-box" }, table);
  const hint = h("p", { class: "ck-hint ck-soft" });
  const button = h("button", { type: "button", class: "ck-button ck-primary", text: "Run", on: { click: () => send(model, { type: "layers_run" }) } });
  const said = h("span");
  const place = h("section");
  const one = layers_one.render({ model, el: place });
  const crumbs = h("nav", { class: "ck-crumbs", "aria-label": "What is open" });
  const count = h("span", { class: "ck-soft" });
  hint.append(said, button);
  el.classList.add("ck-layers-view");
  el.replaceChildren(box, hint, place);
  tools.replaceChildren(crumbs, count);
  const flow = h("td", { class: "ck-flow", "aria-hidden": "true" });
  const names = ["layer", "what it does", "output", "parameters", "MACs"].map((text, i) => h("th", { scope: "col", class: i > 2 ? "ck-right" : null, text }));
  head.append(flow, ...names, h("th", { scope: "col", class: "ck-right ck-of-block", colspan: "2", text: "of the block" }));

  let reach = 0; // the row that Tab reaches
  /** @type {string[]} */
  let shown = []; // what is open, to tell when that changes
  /** @type {Skip[]} */
  let skips = [];
  let drawn = ""; // the rows that are on the screen

  const state = () => model.get("pane") ?? {};
  const buttons = () => /** @type {HTMLButtonElement[]} */ ([...body.querySelectorAll("button")]);
  const back = (/** @type {number} */ depth) => send(model, { type: "layers_back", depth });

  function act(/** @type {number} */ index) {
    const row = state().rows?.[index];
    reach = index;
    send(model, { type: row?.opens ? "layers_open" : "layers_choose", index });
  }

  body.addEventListener("keydown", (event) => {
    const all = buttons();
    const to = { ArrowDown: reach + 1, ArrowUp: reach - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    reach = clamp(to, 0, all.length - 1);
    mark();
    all[reach].focus();
    event.preventDefault();
  });
  const leave = (/** @type {KeyboardEvent} */ event) => {
    const depth = state().crumbs?.length ?? 0;
    if (event.key !== "Escape" || depth < 2) return;
    back(depth - 2);
    event.preventDefault();
    event.stopPropagation();
  };
  el.addEventListener("keydown", leave);
  crumbs.addEventListener("keydown", leave);

  // A line through the layers, at their left the skips: those that begin here, pass by, or end here.
  /** @type {(cell: HTMLElement, index: number, rows: LayerRow[]) => void} */
  function draw(cell, index, rows) {
    const lanes = Math.max(0, ...skips.map((skip) => skip.lane + 1));
    const axis = AXIS + lanes * LANE;
    cell.style.minWidth = cell.style.width = `${axis + AXIS}px`;
    /** @type {(kind: string, left: number, width?: number) => HTMLElement} */
    const line = (kind, left, width = 0) => {
      const node = h("span", { class: `ck-flow-${kind}` });
      Object.assign(node.style, { left: `${left}px`, width: width ? `${width}px` : "" });
      return node;
    };
    const lines = skips.flatMap(({ from, ends, last, lane }) => {
      const left = axis - (lane + 1) * LANE - 4;
      if (index === from) return [line("begins", left, axis - left)];
      const here = ends.has(index) ? [line("ends", left, axis - left)] : [];
      return from < index && index < last ? [line("passes", left), ...here] : here;
    });
    const row = rows[index];
    if (row && sources(row, index).includes(index - 1)) lines.push(line("above", axis));
    const next = rows[index + 1];
    if (!next || sources(next, index + 1).includes(index)) lines.push(line("below", axis));
    if (row) {
      const node = line(`node ck-flow-${row.adds ? "sum" : row.macs ? "macs" : "none"}`, axis);
      if (row.macs && !row.adds) node.style.setProperty("--ck-share", percent(row.share ?? 0));
      lines.push(node);
    }
    cell.replaceChildren(...lines);
  }

  function createRow() {
    let index = 0;
    const name = h("button", { type: "button", class: "ck-row-name" });
    const left = h("td", { class: "ck-flow", "aria-hidden": "true" });
    const cells = ["", "", "ck-right", "ck-right"].map((kind) => h("td", { class: kind || null }));
    const share = bar();
    const figures = h("td", { class: "ck-right" });
    const row = h("tr", {}, left, h("th", { scope: "row" }, name), ...cells, h("td", { class: "ck-layers-bar" }, share.node), figures);
    row.addEventListener("click", () => act(index));
    return {
      node: row,
      update(/** @type {LayerRow} */ now, /** @type {number} */ i) {
        index = i;
        say(name, now.opens ? `${now.name} ›` : now.name);
        put(name, "aria-label", now.opens ? `${now.name}, open its layers` : null);
        [now.type, now.output, now.params ?? "–", now.macs ?? "–"].forEach((text, c) => say(cells[c], text));
        say(figures, now.percent ?? "");
        share.node.hidden = !now.share;
        share.update(now.share ?? 0);
        draw(left, i, state().rows);
      },
    };
  }

  function mark() {
    const { chosen } = state();
    buttons().forEach((name, i) => {
      put(name, "tabindex", i === reach ? "0" : "-1");
      put(/** @type {Element} */ (name.closest("tr")), "aria-current", i === chosen ? "true" : null);
    });
  }

  function trail() {
    const open = state().crumbs ?? [];
    const parts = open.map((/** @type {string} */ name, /** @type {number} */ i) =>
      i === open.length - 1 ? h("b", { "aria-current": "page", text: name }) : h("button", { type: "button", class: "ck-crumb", text: name, on: { click: () => back(i) } }),
    );
    const apart = (/** @type {Node} */ part, /** @type {number} */ i) => (i ? [h("span", { class: "ck-soft", "aria-hidden": "true", text: "›" }), part] : [part]);
    crumbs.replaceChildren(...parts.flatMap(apart));
    say(count, state().count);
  }

  // Where one goes on: at the layer that was left, or the one that is chosen.
  function cameFrom(/** @type {{ crumbs: string[], rows: LayerRow[], chosen: number }} */ { crumbs, rows, chosen }) {
    const last = shown[crumbs.length];
    const left = rows.findIndex((row) => row.opens && `.${row.name}`.endsWith(`.${last}`));
    return shown.join("\n").startsWith(crumbs.join("\n")) && left >= 0 ? left : Math.max(0, chosen);
  }

  function update() {
    const now = state();
    if (now.tab !== "layers") return;
    const arrays = now.one ? unpack(now.one.arrays, model.get("pane_pixels")) : [];
    if (!arrays) return; // the rest is on its way
    const path = now.crumbs.join("\n");
    const inside = box.contains(focused(el)) || crumbs.contains(focused(el));
    const moved = path !== shown.join("\n");
    if (moved) {
      reach = cameFrom(now);
      trail();
    }
    shown = now.crumbs;
    reach = clamp(reach, 0, Math.max(0, now.rows.length - 1));
    const rows = path + JSON.stringify(now.rows); // there may be hundreds
    if (rows !== drawn) {
      skips = skipsOf(now.rows);
      const items = /** @type {LayerRow[]} */ (now.rows).map((row, i) => ({ ...row, key: `${path}/${i}` }));
      follow(body, items, (item) => item.key, createRow);
      draw(flow, -1, now.rows);
    }
    drawn = rows;
    say(count, now.count);
    mark();
    if (moved) box.scrollTop = 0;
    if (moved && inside) buttons()[reach]?.focus();
    box.hidden = !now.rows.length;
    say(said, now.refused || now.hint);
    hint.hidden = !said.textContent;
    button.hidden = !now.button;
    say(button, now.button);
    place.hidden = !now.one;
    if (now.one) one.update(now.one, arrays);
  }

  box.hidden = hint.hidden = place.hidden = true; // until there is something to show
  update();
  const stops = [watch(model, ["pane", "pane_pixels"], update), onTheme(update)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
