// @ts-check
// What each of several models costs, in all and stage by stage, and the keys that differ.

/** @param {{ model: Model<PaneTraits>, el: HTMLElement }} props */
function render({ model, el }) {
  const count = choice("counted", (part) => send(model, { type: "compare_part", part }), { hideLabel: true });
  const words = h("p", { class: "ck-soft ck-small" });
  const totals = h("table", { class: "ck-table ck-cmp-totals", "aria-label": "Totals" });
  const stages = h("table", { class: "ck-table ck-cmp-stages", "aria-label": "By stage" });
  const keys = h("table", { class: "ck-table ck-cmp-keys", "aria-label": "Keys that differ" });
  const wide = (/** @type {HTMLElement} */ table) => h("div", { class: "ck-cmp-wide", role: "group", "aria-label": `${table.getAttribute("aria-label")}, to scroll` }, table);
  const boxes = [totals, stages, keys].map(wide);
  const differing = h("section", {}, h("h4", { text: "Keys that differ" }), boxes[2]);
  el.classList.add("ck-cmp-figures");
  el.replaceChildren(
    h("section", {}, h("div", { class: "ck-cmp-head" }, h("h4", { text: "Totals" }), count.node), words, boxes[0]),
    h("section", {}, h("h4", { text: "By stage" }), boxes[1]),
    differing,
  );

  /** @type {(text: string, props?: Record<string, any>) => HTMLElement} */
  const top = (text, props = {}) => h(text ? "th" : "td", { scope: text ? "col" : null, class: "ck-right", text, ...props });

  /** @type {(text: string, share: number) => HTMLElement} */
  function barred(text, share) {
    const line = bar();
    line.update(share);
    return h("td", { class: "ck-right" }, h("span", { text }), line.node);
  }

  /** @type {(table: HTMLElement, heads: HTMLElement[][], rows: HTMLElement[][]) => void} */
  const fill = (table, heads, rows) =>
    table.replaceChildren(h("thead", {}, ...heads.map((cells) => h("tr", {}, ...cells))), h("tbody", {}, ...rows.map((cells) => h("tr", {}, ...cells))));

  function update(/** @type {any} */ pane) {
    const letters = pane.models.map((/** @type {any} */ of) => of.letter);
    const others = letters.slice(1);
    el.classList.toggle("ck-cmp-many", others.length > 1);
    count.update(pane.parts, pane.part);
    say(words, pane.part_words);
    const ratios = others.map((/** @type {string} */ letter) => top(`${letter} ÷ A`));
    fill(
      totals,
      [[top(""), ...letters.map((/** @type {string} */ letter) => top(letter)), ...ratios]],
      pane.totals.map((/** @type {any} */ line) => [
        h("th", { scope: "row", text: line.label }),
        ...line.values.map((/** @type {string} */ text, /** @type {number} */ i) => barred(text, line.shares[i])),
        ...line.ratios.map((/** @type {string} */ text) => h("td", { class: "ck-right" }, h("b", { text }))),
      ]),
    );
    const chosen = pane.models[0].blocks.find((/** @type {any[]} */ b) => b[0] === pane.models[0].block)?.[2];
    fill(
      stages,
      [
        [top(""), top("MACs", { colspan: letters.length, scope: "colgroup" }), top("parameters", { colspan: letters.length, scope: "colgroup" })],
        [top(""), ...[...letters, ...letters].map((letter) => top(letter))],
      ],
      pane.by_stage.map((/** @type {any} */ line, /** @type {number} */ i) => [
        h("th", { scope: "row", class: i === chosen ? "ck-cmp-here" : null, text: line.label }),
        ...[...line.macs, ...line.params].map(([text, share]) => barred(text, share)),
      ]),
    );
    differing.hidden = !pane.keys.length;
    fill(
      keys,
      [[top(""), ...letters.map((/** @type {string} */ letter) => top(letter))]],
      pane.keys.map((/** @type {any} */ line) => [
        h("th", { scope: "row", text: line.key }),
        ...line.values.map((/** @type {string} */ text) => h("td", { class: "ck-right", text })),
      ]),
    );
  }

  // What scrolls can be reached by the keyboard.
  const reachable = () => boxes.forEach((box) => put(box, "tabindex", box.scrollWidth > box.clientWidth ? "0" : null));
  const observer = new ResizeObserver(reachable);
  boxes.forEach((box) => observer.observe(box));
  [totals, stages, keys].forEach((table) => observer.observe(table));
  return { update, stop: () => observer.disconnect() };
}

export default { render };
