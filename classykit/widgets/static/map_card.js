// @ts-check
// What a block is, in one line: it has a place of its own below the map, so that it covers nothing that is being read.

/** @param {{ measures: () => Measure[], chosen: () => MapItem | null }} props ``chosen``: what it says while nothing is pointed at */
function render({ measures, chosen }) {
  const node = h("div", { class: "ck-map-card", "aria-hidden": "true" }); // a block's name says it all, too
  /** @type {MapItem | null} */
  let shown = null;

  /** @type {(item: MapItem | null) => void} */
  function show(item) {
    shown = item;
    node.classList.toggle("ck-resting", !item);
    item ??= chosen();
    if (!item) return node.replaceChildren();
    const [block] = item.blocks;
    const last = item.blocks[item.blocks.length - 1];
    const equal = item.blocks.every((other) => other.shape === block.shape && other.values.params === block.values.params);
    const figures = measures()
      .filter(({ id }) => block.values[id])
      .map(({ id, label }) => h("span", {}, h("span", { class: "ck-soft", text: `${label} ` }), block.values[id]));
    const name = item.pile ? `${block.name} … ${last.name}` : block.name;
    const each = `${item.blocks.length} ${equal ? "equal blocks; one of them:" : "blocks that differ in channels; the first:"}`;
    const parts = [
      h("b", { text: name }),
      item.pile ? h("span", { class: "ck-soft", text: each }) : null,
      h("span", { class: "ck-soft", text: block.type }),
      h("span", { text: block.shape }),
      ...figures,
    ];
    node.replaceChildren(...parts.filter((part) => part !== null));
  }

  /** Takes it away, as Escape does; whether there was something to take away. */
  function hide() {
    const was = shown !== null;
    show(null);
    return was;
  }

  /** Says what is chosen now, unless something is pointed at. */
  function rest() {
    if (shown === null) show(null);
  }

  return { node, show, hide, rest };
}

export default { render };
