// @ts-check
// What the model says without one channel, beside what it says with it: bars now, a stroke where each was.

const TO = [
  { id: "zero", label: "0" },
  { id: "mean", label: "its mean" },
];

/** @param {{ model: Model<FeatureTraits>, el: HTMLElement }} props */
function render({ model, el }) {
  let to = "zero";
  let on = false;
  /** @type {UnitWithout | null} */
  let told = null; // until Python says otherwise, what was clicked holds
  const off = toggle((wanted) => ask((on = wanted)));
  const fill = choice("its map is", (id) => ((to = id), on && ask(true)));
  const note = h("div", { class: "ck-soft ck-small ck-without-note" }, fill.node, h("span", { text: "the stroke: as before" }));
  const rows = h("div", { class: "ck-without-rows" });
  const lead = h("div", { class: "ck-lead" }, h("h4", { class: "ck-title", text: "Without it" }), off.node);
  const node = h("section", { class: "ck-without", hidden: true }, lead, note, rows);
  el.append(node);

  const ask = (/** @type {boolean} */ wanted) => send(model, { type: "features_off", on: wanted, to });

  function createRow() {
    const label = h("span", { class: "ck-label" });
    const line = bar();
    const stroke = h("span", { class: "ck-without-stroke" });
    const value = h("span", { class: "ck-value" });
    const points = h("span", { class: "ck-value ck-soft" });
    const node = h("div", { class: "ck-without-row" }, label, h("span", { class: "ck-without-bar" }, line.node, stroke), value, points);
    return {
      node,
      update(/** @type {UnitRow} */ now) {
        say(label, now.label);
        put(label, "title", now.label);
        line.update(now.share);
        say(value, now.value);
        say(points, now.points);
        stroke.hidden = now.before === undefined;
        stroke.style.left = percent(now.before ?? 0);
      },
    };
  }

  /** @type {(channel: number, without: UnitWithout | null) => void} */
  function show(channel, without) {
    node.hidden = !without;
    if (!without) return;
    if (without !== told) {
      on = without.on;
      if (on) to = without.to;
    }
    told = without;
    off.update(`channel ${channel} off`, on);
    fill.update(TO, to);
    note.hidden = !on;
    /** @type {UnitRow[]} */
    const list = on && without.on ? without.rows : (model.get("source")?.predictions ?? []);
    follow(rows, list.map((item, rank) => ({ ...item, rank })), (item) => String(item.rank), createRow);
  }

  return { show, hide: () => void (node.hidden = true) };
}

export default { render };
