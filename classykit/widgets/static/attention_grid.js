// @ts-check
// What the chosen place attends to in every layer and head, small, with the heads' mean and rollout.

const PAGE = 8; // heads
const SEEN = 12; // layers, of which more are scrolled to
const [MEAN, ROLLOUT] = [-1, -2];

/** @param {{ model: Model<PaneTraits> }} props */
function render({ model }) {
  /** @type {ShownAttention | null} */
  let now = null;
  /** @type {[number, number]} */
  let reach = [-1, 0]; // layer and head of the cell that Tab reaches
  const range = h("span", { class: "ck-soft ck-small" });
  /** @type {(text: string, label: string, step: number) => HTMLElement} */
  const turn = (text, label, step) =>
    h("button", { type: "button", class: "ck-icon", "aria-label": label, text, on: { click: () => page(step) } });
  const [before, after] = [turn("‹", "previous heads", -1), turn("›", "next heads", 1)];
  const pager = h("span", { class: "ck-pager" }, before, range, after);
  const title = h("h4", { id: unique(), text: "Every layer, every head" });
  const names = h("div", { class: "ck-attention-row", role: "row" });
  const rows = h("div", { class: "ck-attention-rows", role: "rowgroup" });
  const grid = h("div", { class: "ck-attention-grid", role: "grid", "aria-labelledby": title.id }, h("div", { class: "ck-attention-rows", role: "rowgroup" }, names), rows);
  const box = h("div", { class: "ck-attention-scroll" }, grid);
  const same = h("span", { class: "ck-soft ck-small" });
  const node = h("section", {}, h("div", { class: "ck-attention-head" }, title, same, pager), box);

  const next = (/** @type {number} */ step) => {
    const first = (now?.first ?? 0) + step * PAGE;
    return first < 0 || first >= (now?.most ?? 0) ? null : first;
  };

  function page(/** @type {number} */ step) {
    const first = next(step);
    if (first !== null) send(model, { type: "attention_heads", first });
  }

  // The numbers of a page's heads, then the mean, then rollout.
  function columns(/** @type {ShownAttention} */ of) {
    const heads = Array.from({ length: Math.min(PAGE, of.most - of.first) }, (_, i) => of.first + i);
    return [...heads, MEAN, ...(of.rollout ? [ROLLOUT] : [])];
  }

  const headName = (/** @type {number} */ head) => (head === MEAN ? "mean" : head === ROLLOUT ? "rollout" : `head ${head}`);

  // Where a head's map lies among those of its layer; -1 where the layer has no such head.
  function cellOf(/** @type {ShownAttention} */ of, /** @type {number} */ layer, /** @type {number} */ head) {
    const shown = clamp(of.layers[layer].heads - of.first, 0, PAGE);
    if (head === MEAN) return shown;
    if (head === ROLLOUT) return shown + 1;
    return head - of.first < shown ? head - of.first : -1;
  }

  function createCell(/** @type {{ layer: number, head: number }} */ item) {
    const canvas = h("canvas", { "aria-hidden": "true" });
    const cell = h("div", { class: "ck-attention-cell", role: "gridcell" }, canvas);
    const { layer, head } = item;
    const choose = () => !canvas.hidden && send(model, { type: "attention_cell", layer, head });
    cell.addEventListener("click", choose);
    cell.addEventListener("keydown", (event) => {
      const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [0, 0];
      if (event.key === "Enter" || event.key === " ") choose();
      else if (down || right) move(layer, head, down, right);
      else return;
      event.preventDefault();
    });
    return {
      node: cell,
      update() {
        if (!now) return;
        const index = cellOf(now, layer, head);
        canvas.hidden = index < 0;
        put(cell, "data-layer", layer);
        put(cell, "data-head", head);
        put(cell, "aria-label", index < 0 ? "no such head" : `${now.layers[layer].name}, ${headName(head)}`);
        put(cell, "aria-selected", layer === now.layer && head === now.head ? "true" : "false");
        put(cell, "tabindex", index < 0 ? null : layer === reach[0] && head === reach[1] ? "0" : "-1");
        if (index >= 0) paint(canvas, now.thumbs[layer], index);
      },
    };
  }

  /** @type {(canvas: HTMLCanvasElement, maps: Unpacked, index: number) => void} */
  function paint(canvas, maps, index) {
    const [, height, width] = maps.shape;
    const start = index * height * width;
    let most = 0;
    for (let i = 0; i < height * width; i++) most = Math.max(most, maps.at(start + i));
    paintCells(canvas, width, height, VIRIDIS, (i) => maps.at(start + i) / (most || 1));
    canvas.style.aspectRatio = height === 1 ? "1 / 1" : `${width} / ${height}`;
  }

  // To the next cell in that direction that has a map.
  /** @type {(layer: number, head: number, down: number, right: number) => void} */
  function move(layer, head, down, right) {
    if (!now) return;
    const order = columns(now);
    let at = order.indexOf(head) + right;
    let line = layer + down;
    while (line >= 0 && line < now.layers.length && at >= 0 && at < order.length) {
      if (cellOf(now, line, order[at]) >= 0) return focus(line, order[at]);
      [line, at] = [line + down, at + right];
    }
  }

  function focus(/** @type {number} */ layer, /** @type {number} */ head) {
    reach = [layer, head];
    for (const cell of rows.querySelectorAll("[role=gridcell]")) {
      const on = cell.getAttribute("data-layer") === String(layer) && cell.getAttribute("data-head") === String(head);
      if (cell.hasAttribute("tabindex")) put(cell, "tabindex", on ? "0" : "-1");
      if (on) /** @type {HTMLElement} */ (cell).focus();
    }
  }

  function createRow(/** @type {{ layer: number }} */ item) {
    const label = h("span", { role: "rowheader" });
    const cells = h("div", { class: "ck-attention-cells" });
    const line = h("div", { class: "ck-attention-row", role: "row" }, label, cells);
    put(cells, "role", "none");
    return {
      node: line,
      update() {
        if (!now) return;
        say(label, item.layer);
        put(label, "title", now.layers[item.layer].name);
        put(label, "aria-label", now.layers[item.layer].name);
        label.classList.toggle("ck-on", item.layer === now.layer);
        const list = columns(now).map((head) => ({ layer: item.layer, head }));
        follow(cells, list, (cell) => String(cell.head), createCell);
      },
    };
  }

  // Of many heads the numbers alone, for which there is room.
  function headings(/** @type {ShownAttention} */ of) {
    const order = columns(of);
    const list = [{ name: "layer", text: "layer" }, ...order.map((head) => ({ name: headName(head), text: order.length > 6 && head >= 0 ? String(head) : headName(head) }))];
    follow(names, list, (item) => `${item.name} ${item.text}`, (item) => ({ node: h("span", { role: "columnheader", "aria-label": item.name, text: item.text }) }));
  }

  // As high as twelve rows are, however large their cells.
  function fit() {
    const beyond = /** @type {HTMLElement | undefined} */ (rows.children[SEEN]);
    box.style.maxHeight = beyond?.offsetTop ? `${beyond.offsetTop}px` : "";
  }
  new ResizeObserver(() => {
    fit();
    if (now) reveal(now.layer);
  }).observe(grid);

  // Brings the chosen row into sight, moving the list alone.
  function reveal(/** @type {number} */ layer) {
    const line = /** @type {HTMLElement | undefined} */ (rows.children[layer]);
    if (!line || !box.clientHeight) return;
    const [top, bottom] = [line.offsetTop, line.offsetTop + line.offsetHeight];
    if (top < box.scrollTop || bottom > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 2;
  }

  return {
    node,
    update(/** @type {ShownAttention} */ shown) {
      const other = now?.layer !== shown.layer || now?.head !== shown.head || now?.first !== shown.first;
      now = shown;
      const order = columns(shown);
      if (other) reach = [shown.layer, order.includes(shown.head) ? shown.head : order[0]];
      if (cellOf(shown, reach[0], reach[1]) < 0) reach = [shown.layer, MEAN];
      const rest = shown.rollout ? 2 : 1;
      grid.style.setProperty("--ck-heads", String(order.length - rest));
      grid.style.setProperty("--ck-rest", String(rest));
      const token = shown.query_before[shown.column] ?? "";
      say(same, shown.row < 0 ? `from ${token.endsWith("token") ? "the " : ""}${token}` : `from the same ${shown.what}`);
      pager.hidden = shown.most <= PAGE;
      say(range, `heads ${shown.first}–${Math.min(shown.first + PAGE, shown.most) - 1} of ${shown.most}`);
      put(before, "aria-disabled", next(-1) === null ? "true" : null);
      put(after, "aria-disabled", next(1) === null ? "true" : null);
      headings(shown);
      follow(rows, shown.layers.map((one, layer) => ({ layer, name: one.name })), (item) => `${item.layer} ${item.name}`, createRow);
      fit();
      if (other) reveal(shown.layer);
    },
  };
}

export default { render };
