// @ts-check
// The model's keys as controls: what differs from the preset is marked, what cannot be built says what would work.

/** @param {Props<DesignTraits>} props */
function render({ model, el }) {
  dress(el, "ck-design");
  const title = h("h3", { class: "ck-panel-title" });
  const preset = h("div", { class: "ck-soft ck-small" });
  const all = h("button", { type: "button", class: "ck-button ck-small", on: { click: onReset } });
  const list = h("div", { class: "ck-keys" });
  const others = h("div", { class: "ck-keys" });
  const summary = h("summary", { class: "ck-soft" });
  const more = h("details", { class: "ck-more" }, summary, others);
  const hint = h("p", { class: "ck-soft", text: "A module of your own has no keys to turn: its code says what it is." });
  const steps = h("ol", { class: "ck-history" });
  const past = h("section", {}, h("h4", { class: "ck-panel-heading", text: "History" }), steps);
  el.replaceChildren(h("div", { class: "ck-design-head" }, h("div", {}, title, preset), all), list, more, hint, past);

  const state = () => model.get("design") ?? {};

  // The button goes away with what it puts back.
  function onReset() {
    /** @type {HTMLElement | null} */ (list.querySelector("input, select") ?? summary)?.focus({ preventScroll: true });
    send(model, { type: "reset", keys: [] });
  }

  /** @type {KeyActs} */
  const acts = {
    turn: (key, value, done) => send(model, { type: "key", key, value, done }),
    reset: (key) => send(model, { type: "reset", keys: [key] }),
    live: true,
  };
  const createKey = (/** @type {Key} */ key) => keyRow(key, acts);

  function update() {
    const now = state();
    const keys = el.hidden ? [] : (now.keys ?? []); // so many controls are there only while they are looked at
    say(title, now.family);
    say(preset, keys.length ? `from ${now.name}` : "");
    all.hidden = !now.changed;
    say(all, `↺ Reset ${now.changed}`);
    hint.hidden = (now.keys ?? []).length > 0;
    // another family has other keys, even of the same name
    const name = (/** @type {Key} */ key) => `${now.family} ${key.name} ${key.kind}`;
    const rare = keys.filter((key) => key.rare);
    follow(list, keys.filter((key) => !key.rare), name, createKey);
    follow(others, rare, name, createKey);
    more.hidden = rare.length === 0;
    say(summary, `${rare.length} more ${rare.length === 1 ? "key" : "keys"}`);
    if (rare.some((key) => key.changed || key.refused)) more.open = true;
    const { words = [], at = 0 } = model.get("steps") ?? {};
    follow(
      steps,
      words.map((text, index) => ({ text, index })),
      (item) => `${item.index} ${item.text}`,
      (item) => {
        const button = h("button", { type: "button", class: "ck-step", text: item.text });
        button.addEventListener("click", () => send(model, { type: "step", at: item.index }));
        return {
          node: h("li", {}, button),
          update() {
            const of = model.get("steps")?.at ?? 0;
            put(button, "aria-current", item.index === of ? "step" : null);
            button.classList.toggle("ck-undone", item.index > of);
          },
        };
      },
    );
    past.hidden = words.length < 2 && at === 0;
  }

  el.addEventListener("ck-shown", update);
  update();
  return watch(model, ["design", "steps"], update);
}

export default { render };
