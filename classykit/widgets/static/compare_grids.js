// @ts-check
// What the chosen blocks of several models make of one picture, side by side.

/** @param {{ model: Model<PaneTraits>, el: HTMLElement, picture: PictureColumn }} props */
function render({ model, el, picture }) {
  el.classList.add("ck-cmp-grids");
  /** @type {any} */
  let pane = null;
  /** @type {(Unpacked | null)[]} */
  let arrays = [];

  /** @type {(at: number, map: number, x: number, y: number) => void} */
  function describe(at, map, x, y) {
    const of = pane?.models[at];
    const array = arrays[at];
    if (!of?.maps || !array) return;
    const [height, width] = array.shape.slice(1);
    const [low, high] = of.maps.limits[map];
    const value = low + array.at(map * height * width + y * width + x) * (high - low);
    const place = height > 1 && width > 1 ? ` at (${x}, ${y})` : "";
    say(picture.readout, `${of.letter} · channel ${of.maps.channels[map]}${place} · value ${figure(value)}`);
    picture.point(height > 1 ? { x, y, width, height, field: of.field } : null);
  }

  function rest() {
    picture.point(null);
    say(picture.readout, arrays.some(Boolean) ? "Point at a map to read values." : "");
  }

  // The strongest place of a map: what the keyboard begins with.
  /** @type {(at: number, map: number) => [number, number]} */
  function strongest(at, map) {
    const array = /** @type {Unpacked} */ (arrays[at]);
    const [height, width] = array.shape.slice(1);
    const own = array.numbers.subarray(map * height * width, (map + 1) * height * width);
    const best = own.reduce((most, n, i) => (n > own[most] ? i : most), 0);
    return [best % width, Math.floor(best / width)];
  }

  /** @type {(at: number, map: number, channel: number, vector: boolean) => HTMLElement} */
  function cell(at, map, channel, vector) {
    const name = vector ? "its values" : `channel ${channel}`;
    const canvas = h("canvas", { role: "img", "aria-label": `${pane.models[at].letter}, ${name}`, "aria-describedby": picture.readout.id, tabindex: map ? "-1" : "0" });
    const array = /** @type {Unpacked} */ (arrays[at]);
    const [height, width] = array.shape.slice(1);
    paintCells(canvas, width, height, VIRIDIS, (i) => array.at(map * height * width + i));
    canvas.style.aspectRatio = `${width} / ${Math.max(height, width / 24)}`;
    canvas.style.imageRendering = width > 80 ? "auto" : "pixelated";
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      const part = (/** @type {number} */ from, /** @type {number} */ size, /** @type {number} */ n) => clamp(Math.floor((from / size) * n), 0, n - 1);
      describe(at, map, part(event.clientX - box.left, box.width, width), part(event.clientY - box.top, box.height, height));
    });
    canvas.addEventListener("pointerleave", rest);
    canvas.addEventListener("focus", () => describe(at, map, ...strongest(at, map)));
    canvas.addEventListener("blur", rest);
    canvas.addEventListener("keydown", onKey);
    return h("div", { class: "ck-map-cell" }, canvas, h("span", { class: "ck-channel", text: vector ? "" : channel }));
  }

  function onKey(/** @type {KeyboardEvent} */ event) {
    const canvas = /** @type {HTMLElement} */ (event.currentTarget);
    const all = /** @type {HTMLElement[]} */ ([...(canvas.closest(".ck-cmp-grid")?.querySelectorAll("canvas") ?? [])]);
    /** @type {Record<string, number>} */
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 4, ArrowUp: -4, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    const next = all[clamp(all.indexOf(canvas) + steps[event.key], 0, all.length - 1)];
    all.forEach((other) => put(other, "tabindex", other === next ? "0" : "-1"));
    next.focus();
    event.preventDefault();
  }

  /** @type {(of: any, at: number) => HTMLElement} */
  function column(of, at) {
    const vector = arrays[at]?.shape[0] === 1 && of.maps?.channels.length === 1;
    const head = h(
      "div",
      { class: "ck-cmp-title" },
      h("span", { class: "ck-letter", text: of.letter }),
      h("b", { text: of.block }),
      h("span", { class: "ck-soft", text: of.shape }),
      h("span", { class: `ck-chip ${of.trained ? "ck-chip-trained" : "ck-chip-untrained"}`, title: of.trained || null, text: of.trained ? "trained" : "untrained" }),
    );
    const about = h("div", { class: "ck-soft ck-small", text: [of.sees, of.guess].filter(Boolean).join(" · ") });
    const maps = of.maps && arrays[at] ? of.maps.channels.map((/** @type {number} */ channel, /** @type {number} */ map) => cell(at, map, channel, vector)) : [];
    const grid = maps.length ? h("div", { class: `ck-cmp-grid${vector ? " ck-single" : ""}` }, ...maps) : h("p", { class: "ck-soft ck-cmp-none", text: "no maps yet" });
    return h("section", { "aria-label": `${of.letter}, ${of.name}: ${of.block}` }, head, about, grid);
  }

  return {
    update(/** @type {any} */ now) {
      const found = unpack(now.models.map((/** @type {any} */ of) => of.array), model.get("pane_pixels"));
      if (!found) return; // the bytes are still on their way
      pane = now;
      arrays = found.map((array) => (array.numbers.length ? array : null));
      el.replaceChildren(...now.models.map(column));
      rest();
    },
  };
}

export default { render };
