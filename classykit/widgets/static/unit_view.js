// @ts-check
// One channel of the chosen block, opened in place of the maps: its map, what moves it most, and the model without it.

const LATER = 300; // milliseconds after which a position that the keys have moved to is kept

/** @param {UnitProps} props */
function render({ model, el, picture, data, close, step }) {
  let timer = 0;
  let shown = ""; // block and channel on the screen
  const back = h("button", { type: "button", class: "ck-button ck-small ck-back", on: { click: close } });
  const title = h("b");
  const of = h("span", { class: "ck-soft" });
  const chip = h("span", { class: "ck-chip ck-chip-untrained", text: "untrained" });
  const rank = h("span", { class: "ck-soft ck-small" });
  /** @type {(text: string, label: string, by: -1 | 1) => HTMLElement} */
  const turn = (text, label, by) => h("button", { type: "button", class: "ck-icon", "aria-label": label, text, on: { click: () => step(by) } });
  const [before, after] = [turn("‹", "previous channel", -1), turn("›", "next channel", 1)];
  const head = h("div", { class: "ck-grid-head" }, back, title, of, chip, h("span", { class: "ck-pager" }, before, rank, after));
  const map = unit_map.render({ picture, onChoose: keep });
  const patches = unit_patches.render({ model });
  const without = unit_without.render({ model, el: picture.below });
  const body = h("div", { class: "ck-unit" }, map.node, patches.node);
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Escape") close();
  };
  el.addEventListener("keydown", onKey);

  /** @type {(x: number, y: number) => void} */
  function keep(x, y) {
    clearTimeout(timer);
    timer = setTimeout(() => send(model, { type: "features_position", row: y, column: x }), LATER);
  }

  function hide() {
    clearTimeout(timer);
    if (shown) el.replaceChildren();
    shown = "";
    patches.forget();
    without.hide();
    picture.guesses(true);
  }

  /** @type {(channel: number, at: [number, number] | null, told: UnitState | null) => void} */
  function show(channel, at, told) {
    const drawn = data();
    const index = drawn?.features.maps.findIndex((item) => item.channel === channel) ?? -1;
    if (!drawn || index < 0) return;
    const { block, untrained } = model.get("state") ?? {};
    const key = `${block}\n${channel}`;
    if (key !== shown) clearTimeout(timer); // what was pointed at there is no place here
    shown = key;
    if (!el.firstChild) el.replaceChildren(head, body);
    say(back, `‹ all ${drawn.features.channels} maps`);
    say(title, `channel ${channel}`);
    const { width, height } = drawn.features;
    say(of, `of ${block}${height > 1 ? ` · ${width} × ${height}` : ""}`);
    chip.hidden = !untrained;
    say(rank, told?.rank);
    put(before, "aria-disabled", (told?.before ?? null) === null ? "true" : null);
    put(after, "aria-disabled", (told?.after ?? null) === null ? "true" : null);
    const one = valuesOf(drawn, index, picture.step());
    map.show(one, at ?? strongestOf(one));
    patches.show(block ?? "", told?.patches ?? null);
    without.show(channel, told?.without ?? null);
    picture.guesses(!told?.without);
  }

  return { show, hide, focus: map.focus };
}

/**
 * One map's values at one moment, and the lowest and highest that it has at any.
 * @type {(drawn: DrawnMaps, index: number, step: number) => UnitShown}
 */
function valuesOf({ features, numbers }, index, step) {
  const { width, height, steps, field } = features;
  const { low, high, channel } = features.maps[index];
  const size = width * height;
  const value = (/** @type {number} */ number) => low + (number / 65535) * (high - low);
  const own = numbers.subarray((index * steps + step) * size, (index * steps + step + 1) * size);
  let [least, most] = [65535, 0];
  for (const number of numbers.subarray(index * steps * size, (index + 1) * steps * size)) {
    least = Math.min(least, number);
    most = Math.max(most, number);
  }
  return { channel, width, height, field, numbers: own, low: value(least), high: value(most), at: (i) => value(own[i]) };
}

/** @type {(of: UnitShown) => [number, number]} */
function strongestOf({ numbers, width }) {
  const best = numbers.reduce((most, number, i, all) => (number > all[most] ? i : most), 0);
  return [best % width, Math.floor(best / width)];
}

export default { render };
