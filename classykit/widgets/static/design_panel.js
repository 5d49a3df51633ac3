// @ts-check
// The model's keys as controls: what differs from the preset is marked, what cannot be built says what would work.

const PACE = 80; // milliseconds between two values of a slider that is being dragged

/** @param {Props<DesignTraits>} props */
function render({ model, el }) {
  dress(el, "ck-design");
  const title = h("h3", { class: "ck-panel-title" });
  const preset = h("div", { class: "ck-soft ck-small" });
  const all = h("button", { type: "button", class: "ck-button ck-small", on: { click: () => send(model, { type: "reset", keys: [] }) } });
  const list = h("div", { class: "ck-keys" });
  const others = h("div", { class: "ck-keys" });
  const summary = h("summary", { class: "ck-soft" });
  const more = h("details", { class: "ck-more" }, summary, others);
  const hint = h("p", { class: "ck-soft", text: "A module of your own has no keys to turn: its code says what it is." });
  const steps = h("ol", { class: "ck-history" });
  const past = h("section", {}, h("h4", { class: "ck-panel-heading", text: "History" }), steps);
  el.replaceChildren(h("div", { class: "ck-design-head" }, h("div", {}, title, preset), all), list, more, hint, past);

  const state = () => model.get("design") ?? {};

  /** @type {(key: string, value: unknown, done?: boolean) => void} */
  const turn = (key, value, done = true) => send(model, { type: "key", key, value, done });

  /** @param {Key} first */
  function createKey(first) {
    let now = first;
    let timer = 0;
    let shown = ""; // in the box, as it was written or asked for last
    let latest = 0; // what a slider that is held shows
    const id = unique();
    const name = h("span", { class: "ck-key-name", id });
    const meaning = h("span", { class: "ck-key-meaning ck-soft ck-small" });
    const back = h("button", { type: "button", class: "ck-key-back ck-small", on: { click: () => send(model, { type: "reset", keys: [now.name] }) } });
    const why = h("div", { class: "ck-key-why", id: unique(), role: "status" });
    const control = { number, toggle, choice: choices, text }[first.kind]();
    const node = h("div", { class: "ck-key" }, h("div", { class: "ck-key-head" }, name, meaning, back), control.node, why);

    // What is typed counts at Enter and when the box is left; the same is not asked for twice.
    /** @type {(box: HTMLInputElement) => void} */
    function typing(box) {
      const commit = () => {
        if (box.value === shown) return;
        shown = box.value;
        turn(now.name, box.value);
      };
      box.addEventListener("change", commit);
      box.addEventListener("blur", commit);
      box.addEventListener("keydown", (event) => {
        if (event.key === "Enter") commit();
      });
    }

    /** @type {(box: HTMLInputElement) => void} */
    function write(box) {
      const value = now.refused?.typed ?? now.text;
      if (box === focused(el) && box.value !== shown) return; // somebody is typing
      box.value = shown = value;
    }

    function number() {
      const rail = h("input", { type: "range", class: "ck-slider", "aria-labelledby": id });
      const box = h("input", { type: "text", inputmode: "decimal", class: "ck-input ck-key-box", "aria-labelledby": id, autocomplete: "off" });
      const tick = h("span", { class: "ck-key-tick", "aria-hidden": "true" });
      const later = () => {
        timer = 0;
        turn(now.name, latest, false);
      };
      rail.addEventListener("input", () => {
        latest = Number(rail.value);
        box.value = shown = String(latest);
        timer ||= setTimeout(later, PACE);
      });
      rail.addEventListener("change", () => {
        clearTimeout(timer);
        timer = 0;
        turn(now.name, Number(rail.value));
      });
      rail.addEventListener("dblclick", () => send(model, { type: "reset", keys: [now.name] }));
      typing(box);
      return {
        node: h("div", { class: "ck-key-number" }, h("span", { class: "ck-key-rail" }, rail, tick), box),
        box,
        update() {
          for (const what of /** @type {const} */ (["low", "high", "step"])) {
            put(rail, { low: "min", high: "max", step: "step" }[what], now[what]);
          }
          if (!timer) rail.value = String(now.value);
          write(box);
          const share = now.at_preset === null ? -1 : (now.at_preset - now.low) / (now.high - now.low);
          tick.hidden = !now.changed || share < 0 || share > 1;
          tick.style.left = `calc(7px + ${share} * (100% - 14px))`;
        },
      };
    }

    function toggle() {
      const box = h("input", { type: "checkbox", class: "ck-toggle", role: "switch", "aria-labelledby": id });
      box.addEventListener("change", () => turn(now.name, box.checked));
      return { node: h("div", {}, box), box, update: () => void (box.checked = now.value === true) };
    }

    function choices() {
      const list = choice(first.name, (value) => turn(now.name, value), { hideLabel: true });
      return { node: h("div", {}, list.node), box: list.select, update: () => list.update(now.options, now.text) };
    }

    function text() {
      const box = h("input", { type: "text", class: "ck-input ck-key-text", "aria-labelledby": id, autocomplete: "off", spellcheck: "false" });
      typing(box);
      return { node: h("div", {}, box), box, update: () => write(box) };
    }

    return {
      node,
      update(/** @type {Key} */ key) {
        now = key;
        say(name, key.name);
        say(meaning, key.meaning);
        put(meaning, "title", `${key.meaning} (${key.takes})`);
        put(control.box, "title", key.takes);
        node.classList.toggle("ck-changed", key.changed);
        node.classList.toggle("ck-refused", Boolean(key.refused));
        back.hidden = !key.changed;
        say(back, `↺ ${key.preset}`);
        put(back, "aria-label", `Put ${key.name} back to ${key.preset}`);
        put(control.box, "aria-invalid", key.refused ? "true" : null);
        put(control.box, "aria-describedby", key.refused ? why.id : null);
        const near = (key.refused?.nearest ?? []).map((value) =>
          h("button", { type: "button", class: "ck-key-near", text: value, on: { click: () => turn(key.name, value) } }),
        );
        why.hidden = !key.refused;
        why.replaceChildren(...(key.refused ? [key.refused.reason, ...(near.length ? [" Nearest: "] : []), ...near] : []));
        control.update();
      },
    };
  }

  function update() {
    const now = state();
    const keys = el.hidden ? [] : (now.keys ?? []); // so many controls are there only while they are looked at
    say(title, now.family);
    say(preset, keys.length ? `from ${now.name}` : "");
    all.hidden = !now.changed;
    say(all, `Reset ${now.changed}`);
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
