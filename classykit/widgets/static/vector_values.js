// @ts-check
// The largest values of a vector whose places have names, the classes that a model tells apart.

const MOST = 12;

/** @param {{ el: HTMLElement }} props */
function render({ el }) {
  const list = h("div", { class: "ck-rows" });
  el.classList.add("ck-top-values");
  el.replaceChildren(h("h4", { class: "ck-guess-title", text: "the largest values" }), list);

  /** @param {DrawnMaps | null} drawn */
  function show(drawn) {
    const { names, values, maps, kind } = drawn?.features ?? { names: [], values: 0, maps: [], kind: "map" };
    el.hidden = kind !== "vector" || !names.length;
    if (el.hidden || !drawn) return;
    const { numbers } = drawn;
    const { low, high } = maps[0];
    const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
    const order = Array.from({ length: values }, (_, i) => i).sort((a, b) => numbers[b] - numbers[a]);
    const rows = order.slice(0, MOST).map((i) => {
      const value = low + (numbers[i] / 65535) * (high - low);
      return { label: names[i], share: Math.max(0, value / most), value: figure(value) };
    });
    follow(
      list,
      rows.map((item, rank) => ({ ...item, rank })),
      (item) => String(item.rank),
      () => row(),
    );
  }

  return { show };
}

export default { render };
