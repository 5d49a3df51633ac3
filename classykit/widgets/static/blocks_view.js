// @ts-check
// Every block in figures: equal ones folded, sorted by a click; above them how wide they are.

/** @typedef {string | [string, number, (number | null)?, string?]} Cell text; and what sorts it, its share, the share in words */
/** @typedef {{ first: string, count: number, name: string, cells: Cell[] }} Run */
/** @typedef {{ key: string, block: string, name: string, cells: Cell[], fixed: boolean, run: Run | null, folded: boolean }} Line */

const wordOf = (/** @type {Cell} */ cell) => (typeof cell === "string" ? cell : cell[0]);

// A cell: its words, and where it is a share of the whole a bar and the share.
/** @type {(cell: Cell, right: boolean) => HTMLElement} */
function dataCell(cell, right) {
  const node = h("td", { class: right ? "ck-right" : null });
  const [text, , share = null, more = ""] = typeof cell === "string" ? [cell] : cell;
  if (share === null) {
    node.append(text);
    put(node, "title", more || (right ? null : text));
    return node;
  }
  const line = bar();
  line.update(share);
  node.append(h("span", { class: "ck-figure" }, h("span", { text }), line.node, h("span", { class: "ck-soft", text: more })));
  return node;
}

/**
 * The lines as they stand: in the order of the forward pass with equal blocks in one line, or sorted one by one.
 * @param {any} pane
 * @param {{ column: number, down: boolean } | null} sorted
 * @param {(run: Run) => boolean} isFolded
 * @returns {Line[]}
 */
function arranged(pane, sorted, isFolded) {
  /** @type {Line[]} */
  const lines = [];
  const runs = new Map(pane.runs.map((/** @type {Run} */ run) => [run.first, run]));
  for (let i = 0; i < pane.rows.length; i++) {
    const { cells, fixed = false } = pane.rows[i];
    const [block, ...rest] = cells;
    const run = (!sorted && runs.get(block)) || null;
    const folded = run !== null && isFolded(run);
    const key = folded ? `${block} folded` : block;
    lines.push({ key, block, name: folded ? run.name : block, cells: folded ? run.cells : rest, fixed, run, folded });
    if (folded) i += run.count - 1;
  }
  if (!sorted) return lines;
  const { column, down } = sorted;
  const of = (/** @type {Line} */ line) => (column === 0 ? line.block : line.cells[column - 1]);
  const order = (/** @type {Cell} */ a, /** @type {Cell} */ b) =>
    typeof a !== "string" && typeof b !== "string" ? a[1] - b[1] : wordOf(a).localeCompare(wordOf(b), undefined, { numeric: true });
  const known = lines.filter((line) => wordOf(of(line)) !== "");
  const none = lines.filter((line) => wordOf(of(line)) === "");
  return [...known.sort((a, b) => order(of(a), of(b)) * (down ? -1 : 1)), ...none];
}

/** @param {ViewProps<PaneTraits>} props */
function render({ model, el, tools }) {
  /** @type {any} */
  let pane = null; // what is on the screen
  /** @type {{ column: number, down: boolean } | null} */
  let sorted = null;
  let fold = true;
  /** @type {Set<string>} */
  const exceptions = new Set(); // runs that are not as all are
  let seen = ""; // the block whose row was brought into sight
  let reach = ""; // the key of the row that Tab reaches

  const chart = h("div");
  const head = h("tr");
  const body = h("tbody");
  const foot = h("tfoot");
  const table = h("table", { class: "ck-table", "aria-label": "Blocks" }, h("thead", {}, head), body, foot);
  const node = h("div", { class: "ck-table-box" }, table);
  const note = h("p", { class: "ck-soft ck-small ck-blocks-note" });
  el.classList.add("ck-blocks");
  el.replaceChildren(chart, node, note);
  const widths = blocks_widths.render({ model, el: chart });

  const folding = h("input", { type: "checkbox", class: "ck-toggle", role: "switch", checked: true });
  folding.addEventListener("change", () => {
    fold = folding.checked;
    exceptions.clear();
    drawRows();
  });
  const folds = h("label", { class: "ck-fold-all" }, folding, "fold equal blocks");
  const measure = h("button", { type: "button", class: "ck-button ck-small", text: "Measure", on: { click: () => send(model, { type: "measure" }) } });
  const file = h("button", {
    type: "button", class: "ck-button ck-small", text: "CSV", "aria-label": "Download the table as CSV", on: { click: () => send(model, { type: "save", file: "blocks.csv" }) },
  });
  tools.replaceChildren(folds, measure, file);

  const isFolded = (/** @type {Run} */ run) => fold !== exceptions.has(run.first);
  const rowButtons = () => /** @type {HTMLElement[]} */ ([...body.querySelectorAll(".ck-row-name")]);

  function turn(/** @type {Run} */ run) {
    if (!exceptions.delete(run.first)) exceptions.add(run.first);
    const held = body.contains(focused(el));
    drawRows();
    if (!held) return;
    const first = [...body.children].find((row) => row instanceof HTMLElement && row.dataset.block === run.first);
    /** @type {HTMLElement | null | undefined} */ (first?.querySelector(".ck-row-name"))?.focus();
  }

  // From the largest down, or from A to Z; then the other way round; then as the model runs.
  function sortBy(/** @type {number} */ column) {
    const first = pane.columns[column].right;
    if (sorted?.column !== column) sorted = { column, down: first };
    else sorted = sorted.down === first ? { column, down: !first } : null;
    drawHead();
    drawRows();
  }

  function drawHead() {
    follow(
      head,
      pane.columns.map((/** @type {any} */ column, /** @type {number} */ index) => ({ ...column, index })),
      (column) => /** @type {any} */ (column).id,
      () => {
        let at = 0;
        const arrow = h("span", { class: "ck-sort-arrow", "aria-hidden": "true" });
        const label = h("span");
        const button = h("button", { type: "button", class: "ck-sort", on: { click: () => sortBy(at) } }, label, arrow);
        const cell = h("th", { scope: "col" }, button);
        return {
          node: cell,
          update(/** @type {any} */ now) {
            at = now.index;
            const here = sorted?.column === at;
            say(label, now.label);
            say(arrow, here ? (sorted?.down ? "▾" : "▴") : "");
            put(cell, "aria-sort", here ? (sorted?.down ? "descending" : "ascending") : null);
            put(cell, "title", now.tip || null);
            cell.classList.toggle("ck-right", now.right);
          },
        };
      },
    );
  }

  function createRow(/** @type {Line} */ first) {
    let now = first;
    /** @type {Cell[] | null} */
    let drawn = null;
    const name = h("button", { type: "button", class: "ck-row-name" });
    const count = h("button", { type: "button", class: "ck-run-count", tabindex: "-1" });
    const lead = h("th", { scope: "row" }, name, count);
    const line = h("tr", {}, lead);
    count.addEventListener("click", (event) => {
      event.stopPropagation();
      if (now.run) turn(now.run);
    });
    line.addEventListener("click", () => {
      reach = now.key;
      if (!now.fixed) send(model, { type: "select", block: now.block });
    });
    name.addEventListener("keydown", (event) => onKey(event, now));
    name.addEventListener("focus", () => {
      reach = now.key;
      rowButtons().forEach((button) => put(button, "tabindex", button === name ? "0" : "-1"));
    });
    return {
      node: line,
      update(/** @type {Line} */ item) {
        now = item;
        line.dataset.block = item.block;
        line.dataset.key = item.key;
        say(name, item.name);
        put(name, "aria-disabled", item.fixed ? "true" : null);
        const words = `${item.run?.count} equal blocks`;
        put(name, "aria-description", item.run ? `${words}: right arrow opens, left arrow folds` : null);
        count.hidden = !item.run;
        say(count, item.run ? `×${item.run.count}` : "");
        put(count, "aria-label", item.run ? `${words} from ${item.run.first}` : null);
        put(count, "aria-expanded", item.folded ? "false" : "true");
        if (item.cells === drawn) return;
        drawn = item.cells;
        line.replaceChildren(lead, ...item.cells.map((cell, i) => dataCell(cell, pane.columns[i + 1].right)));
      },
    };
  }

  function onKey(/** @type {KeyboardEvent} */ event, /** @type {Line} */ line) {
    const buttons = rowButtons();
    const at = buttons.indexOf(/** @type {HTMLElement} */ (event.currentTarget));
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
    if (event.key in steps) buttons[clamp(at + steps[event.key], 0, buttons.length - 1)].focus();
    else if (event.key === "ArrowRight" && line.run && line.folded) turn(line.run);
    else if (event.key === "ArrowLeft" && line.run && !line.folded) turn(line.run);
    else return;
    event.preventDefault();
  }

  function drawRows() {
    follow(body, arranged(pane, sorted, isFolded), (line) => line.key, createRow);
    mark();
  }

  function drawTotals() {
    const before = pane.columns.findIndex((/** @type {any} */ column) => column.id === "params");
    foot.replaceChildren(
      ...pane.totals.map((/** @type {any} */ total) =>
        h(
          "tr",
          {},
          h("th", { scope: "row", colspan: before }, total.label, total.names ? h("span", { class: "ck-soft", text: `: ${total.names}` }) : null),
          ...total.cells.map((/** @type {Cell} */ cell) => dataCell(cell, true)),
        ),
      ),
    );
  }

  // The chosen block's row; of a folded line it may be any of its blocks.
  function mark() {
    if (!pane) return;
    const selected = model.get("selected") ?? "";
    const names = pane.rows.map((/** @type {any} */ row) => row.cells[0]);
    const at = names.indexOf(selected);
    let current = "";
    for (const row of /** @type {HTMLElement[]} */ ([...body.children])) {
      const from = names.indexOf(row.dataset.block ?? "");
      const run = row.dataset.key === row.dataset.block ? null : pane.runs.find((/** @type {Run} */ other) => other.first === row.dataset.block);
      const on = at >= from && at < from + (run?.count ?? 1);
      put(row, "aria-current", on ? "true" : null);
      if (on) current = row.dataset.key ?? "";
    }
    const buttons = rowButtons();
    const keyed = buttons.map((button) => button.closest("tr")?.dataset.key);
    if (!keyed.includes(reach)) reach = current;
    const stop = Math.max(keyed.indexOf(reach), 0);
    buttons.forEach((button, i) => put(button, "tabindex", i === stop ? "0" : "-1"));
    widths.mark();
    reveal();
  }

  // Brings a newly chosen row into sight, moving the table alone and only as far as it takes.
  function reveal() {
    const row = /** @type {HTMLElement | null} */ (body.querySelector("[aria-current]"));
    const selected = model.get("selected");
    if (!node.clientHeight || seen === selected || !row) return;
    seen = selected;
    const top = row.offsetTop - head.offsetHeight;
    if (top < node.scrollTop) node.scrollTop = top;
    else node.scrollTop = Math.max(node.scrollTop, row.offsetTop + row.offsetHeight - node.clientHeight);
  }

  function update() {
    const now = model.get("pane");
    if (now?.tab !== "blocks") return;
    pane = now;
    if (sorted && sorted.column >= pane.columns.length) sorted = null; // by a time that is no longer known
    folds.hidden = !pane.runs.length;
    say(measure, pane.columns.some((/** @type {any} */ column) => column.id === "time") ? "Measure again" : "Measure");
    put(measure, "title", "time each block on this device");
    say(note, pane.note);
    note.hidden = !pane.note;
    widths.update(pane);
    drawHead();
    drawRows();
    drawTotals();
  }

  update();
  el.addEventListener("ck-shown", reveal);
  const stops = [watch(model, ["pane"], update), watch(model, ["selected"], mark)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
