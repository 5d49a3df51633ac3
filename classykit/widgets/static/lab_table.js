// @ts-check
// All nets as a table, sorted by what one clicks.

const TITLES = ["net", "space", "MACs", "parameters", "error", "budget", "longer (epochs)"];
/** @type {((net: LabNet, index: number) => number)[]} */
const BY = [(_, i) => i, (net) => net.space, (net) => net.macs, () => 0, (net) => net.error ?? 2, (net) => Number(!net.inside), (net) => (net.cells[6] ? 0 : 1)];
const SORTED = [0, 1, 2, 4, 5, 6]; // columns

/** @param {Props<LabTraits>} props */
function render({ model, el }) {
  let by = 4;
  const rows = h("tbody");
  const heads = TITLES.map((text, i) => {
    const button = h("button", { type: "button", class: "ck-lab-sort", text, on: { click: () => ((by = i), update()) } });
    return h("th", { scope: "col", class: i > 1 ? "ck-right" : null }, SORTED.includes(i) ? button : text);
  });
  el.classList.add("ck-table-box");
  put(el, "tabindex", "0");
  el.replaceChildren(h("table", { class: "ck-table", "aria-label": "Nets" }, h("thead", {}, h("tr", {}, ...heads)), rows));

  function update() {
    if (el.hidden) return; // so many rows are there only while they are looked at
    const nets = model.get("nets").map((net, index) => ({ net, index }));
    nets.sort((a, b) => BY[by](a.net, a.index) - BY[by](b.net, b.index) || a.index - b.index);
    heads.forEach((head, i) => put(head, "aria-sort", i === by ? "ascending" : null));
    const chosen = model.get("net").number;
    rows.replaceChildren(...nets.map(({ net, index }) => {
      const pick = h("button", { type: "button", class: "ck-row-name", text: net.cells[0], "aria-label": net.label });
      const row = h("tr", { "aria-current": index === chosen ? "true" : null, class: net.inside ? null : "ck-lab-out" }, h("th", { scope: "row" }, pick),
        ...net.cells.slice(1).map((text, i) => h("td", { class: i > 0 ? "ck-right" : null, text })));
      row.addEventListener("click", () => send(model, { type: "choose", net: index }));
      return row;
    }));
  }

  // the row that has the focus keeps it, as its button is another after each update
  function again() {
    const label = rows.contains(focused(el)) ? focused(el)?.textContent : null;
    update();
    if (label) [...rows.querySelectorAll("button")].find((button) => button.textContent === label)?.focus({ preventScroll: true });
  }

  el.addEventListener("ck-shown", update);
  update();
  return watch(model, ["nets", "net"], again);
}

export default { render };
