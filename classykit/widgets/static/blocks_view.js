// @ts-check
// Every block in figures.

// A column whose cells are all figures is aligned to the right.
const isFigure = (/** @type {string} */ text) => /^$|^[–—-]$|^[-−]?[\d.,]+(\s?[%a-zA-Zµ/]{1,6})?$/.test(text.trim());

/** @param {ViewProps<FeatureTraits>} props */
function render({ model, el }) {
  const head = h("tr");
  const body = h("tbody");
  const table = h("table", { class: "ck-table" }, h("thead", {}, head), body);
  const node = h("div", { class: "ck-table-box" }, table);
  el.replaceChildren(node);
  const state = () => model.get("state") ?? {};
  /** @type {string | undefined} */
  let seen; // the block whose row was brought into sight

  /** @typedef {{ id: string, text: string, right: boolean }} Cell */
  /** @type {(tag: "td" | "th", props?: Record<string, string>) => Follower<Cell>} */
  function createCell(tag, props) {
    const cell = h(tag, props);
    return {
      node: cell,
      update({ text, right }) {
        say(cell, text);
        cell.classList.toggle("ck-right", right);
      },
    };
  }

  function createRow() {
    let name = "";
    // A button, so that the keyboard reaches what a click anywhere on the row does.
    const button = h("button", { type: "button", class: "ck-row-name" });
    const first = { node: h("th", { scope: "row" }, button), update: (/** @type {Cell} */ cell) => say(button, cell.text) };
    const row = h("tr", {});
    row.addEventListener("click", () => send(model, { type: "select", block: name }));
    return {
      node: row,
      update(/** @type {Cell[]} */ cells) {
        name = cells[0].text;
        follow(row, cells, (cell) => cell.id, (cell) => (cell.id === "0" ? first : createCell("td")));
        put(row, "aria-current", name === state().block ? "true" : null);
      },
    };
  }

  function update() {
    const { columns = [], rows = [] } = model.get("table") ?? {};
    const right = columns.map((_, i) => i > 0 && rows.some((row) => row[i]) && rows.every((row) => isFigure(row[i])));
    const cells = (/** @type {string[]} */ row) => row.map((text, i) => ({ id: String(i), text, right: right[i] }));
    follow(head, cells(columns), (cell) => cell.id, () => createCell("th", { scope: "col" }));
    follow(body, rows.map(cells), (row) => row[0].text, createRow);
    reveal();
  }

  // Brings a newly chosen row into sight, moving the table alone and only as far as it takes.
  function reveal() {
    const row = /** @type {HTMLElement | null} */ (body.querySelector("[aria-current]"));
    if (!node.clientHeight || seen === state().block || !row) return;
    seen = state().block;
    const top = row.offsetTop - head.offsetHeight;
    if (top < node.scrollTop) node.scrollTop = top;
    else node.scrollTop = Math.max(node.scrollTop, row.offsetTop + row.offsetHeight - node.clientHeight);
  }

  update();
  el.addEventListener("ck-shown", reveal);
  return watch(model, ["state", "table"], update);
}

export default { render };
