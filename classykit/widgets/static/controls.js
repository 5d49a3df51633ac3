// @ts-check
// A key of a config as something to turn: a slider with a box, a switch, a few words side by side, or a text.

const PACE = 80; // milliseconds between two values of a slider that is being dragged

/**
 * What is typed counts at Enter and when the box is left; the same is not asked for twice.
 * @param {HTMLInputElement} box
 * @param {(value: string) => void} turn
 */
function typing(box, turn) {
  let shown = "";
  const commit = () => {
    if (box.value === shown) return;
    shown = box.value;
    turn(box.value);
  };
  box.addEventListener("change", commit);
  box.addEventListener("blur", commit);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") commit();
  });
  return (/** @type {string} */ value) => {
    if (box === focused(box) && box.value !== shown) return; // somebody is typing
    box.value = shown = value;
  };
}

/** @type {(key: Key) => string} */
const written = (key) => key.refused?.typed ?? key.text;

/** @type {Record<Key["kind"], (id: string, key: () => Key, acts: KeyActs) => KeyControl>} */
const CONTROLS = {
  number(id, key, acts) {
    let timer = 0;
    let latest = 0; // what a slider that is held shows
    let sent = 0; // and what of that was asked for
    let held = false; // answers to what it showed before would move it under the hand
    const rail = h("input", { type: "range", "aria-labelledby": id });
    const box = h("input", { type: "text", inputmode: "decimal", class: "ck-input ck-key-box", "aria-labelledby": id, autocomplete: "off" });
    const tick = h("span", { class: "ck-key-tick", "aria-hidden": "true" });
    const write = typing(box, (value) => acts.turn(key().name, value, true));
    const done = () => {
      clearTimeout(timer);
      timer = 0;
      acts.turn(key().name, Number(rail.value), true);
    };
    // The first value is asked for at once, and what it is at the end of each pace, where that is another.
    const ask = () => {
      acts.turn(key().name, (sent = latest), false);
      timer = setTimeout(later, PACE);
    };
    const later = () => {
      timer = 0;
      if (latest !== sent) ask();
    };
    rail.addEventListener("input", () => {
      latest = Number(rail.value);
      write(rail.value);
      if (acts.live && !timer) ask();
    });
    rail.addEventListener("change", done);
    rail.addEventListener("pointerdown", () => (held = true));
    for (const end of ["pointerup", "pointercancel", "blur"]) rail.addEventListener(end, () => (held = false));
    rail.addEventListener("dblclick", () => acts.reset(key().name));
    rail.addEventListener("keydown", (event) => {
      const steps = { PageUp: 10, PageDown: -10 }[event.key];
      if (!steps) return;
      event.preventDefault();
      rail.value = String(clamp(Number(rail.value) + steps * key().step, key().low, key().high));
      done();
    });
    return {
      node: h("div", { class: "ck-key-number" }, h("span", { class: "ck-key-rail" }, rail, tick), box),
      box,
      update() {
        const now = key();
        for (const [name, value] of /** @type {const} */ ([["min", now.low], ["max", now.high], ["step", now.step]])) put(rail, name, value);
        if (!timer && !held) rail.value = String(now.value);
        put(rail, "aria-valuetext", now.text);
        if (!held) write(written(now));
        const share = now.at_preset === null ? -1 : (now.at_preset - now.low) / (now.high - now.low);
        tick.hidden = !now.changed || !(share >= 0 && share <= 1);
        tick.style.left = `calc(7px + ${share} * (100% - 14px))`;
      },
    };
  },

  toggle(id, key, acts) {
    const box = h("input", { type: "checkbox", class: "ck-toggle", role: "switch", "aria-labelledby": id });
    box.addEventListener("change", () => acts.turn(key().name, box.checked, true));
    return { node: h("span", { class: "ck-key-beside" }, box), box, update: () => void (box.checked = key().value === true) };
  },

  choice(id, key, acts) {
    if (key().options.length > 3 || key().options.map((option) => option.label).join("").length > 16) {
      const list = choice(key().name, (value) => acts.turn(key().name, value, true), { hideLabel: true });
      return { node: h("span", { class: "ck-key-beside" }, list.node), box: list.select, update: () => list.update(key().options, key().text) };
    }
    const group = unique();
    const box = h("span", { class: "ck-segments", role: "radiogroup", "aria-labelledby": id });
    const segment = (/** @type {Choice} */ option) => {
      const radio = h("input", { type: "radio", class: "ck-radio", name: group, value: option.id });
      radio.addEventListener("change", () => acts.turn(key().name, option.id, true));
      const node = h("label", { class: "ck-segment" }, radio, h("span", { text: option.label }));
      return { node, update: () => void (radio.checked = key().text === option.id) };
    };
    return {
      node: h("span", { class: "ck-key-beside" }, box),
      box,
      update: () => follow(box, key().options, (option) => option.id, segment),
    };
  },

  text(id, key, acts) {
    const box = h("input", { type: "text", class: "ck-input ck-key-text", "aria-labelledby": id, autocomplete: "off", spellcheck: "false" });
    const write = typing(box, (value) => acts.turn(key().name, value, true));
    return { node: h("div", {}, box), box, update: () => write(written(key())) };
  },
};

/**
 * A row: the key's name and meaning, what puts it back, its control, and why what was asked for cannot be.
 * @param {Key} first
 * @param {KeyActs} acts
 * @returns {Follower<Key>}
 */
function keyRow(first, acts) {
  let now = first;
  const id = unique();
  const name = h("span", { class: "ck-key-name", id });
  const meaning = h("span", { class: "ck-key-meaning ck-soft ck-small" });
  const back = h("button", { type: "button", class: "ck-key-back ck-small" });
  const why = h("div", { class: "ck-key-why", id: unique(), role: "status" });
  const control = CONTROLS[first.kind](id, () => now, acts);
  const head = h("div", { class: "ck-key-head" }, name, meaning, back);
  const beside = control.node.classList.contains("ck-key-beside");
  if (beside) head.append(control.node);
  const node = h("div", { class: "ck-key" }, head, beside ? null : control.node, why);
  const refocus = () => /** @type {HTMLElement | null} */ (node.querySelector("input:not([type=range]), select"))?.focus({ preventScroll: true });
  back.addEventListener("click", () => {
    refocus(); // the button goes away
    acts.reset(now.name);
  });

  function refuse() {
    const held = why.contains(focused(node));
    const near = (now.refused?.nearest ?? []).map((value) =>
      h("button", { type: "button", class: "ck-key-near", text: value, on: { click: () => (refocus(), acts.turn(now.name, value, true)) } }),
    );
    put(control.box, "aria-invalid", now.refused ? "true" : null);
    put(control.box, "aria-describedby", now.refused ? why.id : null);
    why.hidden = !now.refused;
    why.replaceChildren(...(now.refused ? [now.refused.reason, ...(near.length ? [" Nearest: "] : []), ...near] : []));
    if (held) refocus();
  }

  return {
    node,
    update(/** @type {Key} */ key) {
      const known = JSON.stringify(now.refused) === JSON.stringify(key.refused) && why.dataset.said;
      now = key;
      why.dataset.said = "yes";
      say(name, key.name);
      say(meaning, key.meaning);
      put(meaning, "title", `${key.meaning} (${key.takes})`);
      put(control.box, "title", key.takes);
      node.classList.toggle("ck-changed", key.changed);
      node.classList.toggle("ck-refused", Boolean(key.refused));
      if (back === focused(node) && !key.changed) refocus();
      back.hidden = !key.changed;
      say(back, `↺ ${key.preset}`);
      put(back, "aria-label", `Put ${key.name} back to ${key.preset}`);
      if (!known) refuse(); // once: it is a live region
      control.update();
    },
  };
}
