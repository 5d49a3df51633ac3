// @ts-check
// The chosen net: its numbers to turn, the line that follows from them, what it is, and what can be done with it.

/** @param {Props<LabTraits>} props */
function render({ model, el }) {
  dress(el, "ck-lab-net");
  const button = (/** @type {string} */ text, /** @type {string} */ type, primary = false) =>
    h("button", { type: "button", class: `ck-button${primary ? " ck-primary" : ""}`, text, on: { click: () => send(model, { type }) } });
  const title = h("b");
  const note = h("span", { class: "ck-soft ck-small" });
  const reset = h("button", { type: "button", class: "ck-button ck-small ck-lab-reset", text: "↺ as sampled" });
  const keys = h("div", { class: "ck-keys" });
  const line = h("div");
  const rows = h("div", { class: "ck-lab-facts" });
  const failed = h("p", { class: "ck-small ck-lab-failed" });
  const trunk = h("p", { class: "ck-soft ck-small" });
  const [own, open, longer] = [button("Train this net", "own"), button("Open in Explorer", "explore", true), button("", "longer")];
  const heading = (/** @type {string} */ text) => h("h3", { class: "ck-lab-h", text });
  const about = h("span", { class: "ck-soft ck-small" });
  el.replaceChildren(
    h("section", { "aria-label": "The chosen net" }, h("div", { class: "ck-lab-net-head" }, h("h3", { class: "ck-lab-h" }, title, " ", note), reset), keys),
    h("section", {}, h("div", { class: "ck-lab-net-head" }, heading("The quantised line"), about), line),
    h("section", { "aria-label": "What it is" }, heading("What it is"), rows, failed, trunk, h("div", { class: "ck-lab-acts" }, own, open, longer)),
  );
  reset.addEventListener("click", () => {
    if (model.get("net").turned) send(model, { type: "reset", keys: [] });
  });
  /** @type {KeyActs} */
  const acts = {
    turn: (key, value, done) => send(model, { type: "key", key, value, done }),
    reset: (key) => send(model, { type: "reset", keys: [key] }),
    live: true,
  };

  function update() {
    const net = model.get("net");
    say(title, net.title);
    say(note, `${net.space}, ${net.note}`);
    put(reset, "aria-disabled", net.turned ? null : "true");
    follow(keys, net.keys, (key) => `${net.space} ${key.name}`, (key) => keyRow(key, acts));
    say(about, net.line ? "w_0 + w_a · block, rounded to steps" : "every stage free: there is no line");
    follow(rows, net.rows, (row) => row.label, () => {
      const [label, value] = [h("span", { class: "ck-soft" }), h("b")];
      return { node: h("div", {}, label, value), update: (row) => (say(label, row.label), say(value, row.value)) };
    });
    failed.hidden = net.failed === "";
    say(failed, net.failed);
    say(trunk, net.trunk);
    own.hidden = !net.trainable;
    say(longer, net.longer);
  }

  update();
  const stops = [watch(model, ["net"], update), lab_line.render({ model, el: line })];
  return () => stops.forEach((stop) => stop());
}

export default { render };
