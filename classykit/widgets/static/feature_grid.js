// @ts-check
// What the chosen block makes of the picture: one small map a channel.

const SCALES = [
  { id: "map", label: "each map" },
  { id: "shared", label: "shared" },
];

const COLOURS = ["viridis", "signed"].map((id) => ({ id, label: id }));

/** @param {ViewProps<FeatureTraits>} props */
function render({ model, el, tools, picture }) {
  /** @type {DrawnMaps | null} */
  let drawn = null; // the features and the numbers on the screen
  /** @type {{ block: string | undefined, channel: number, x: number, y: number } | null} */
  let chosen = null; // where a map was chosen last, in it or in a vector
  /** @type {UnitState | null} */
  let told = null; // the unit that is open, as Python has it
  /** @type {{ channel: number, at: [number, number] } | null | undefined} */
  let early; // the one that this page has opened, or null for closed, before Python has answered
  let signed = false;
  let palette = VIRIDIS;
  let reach = 0; // the map that Tab reaches
  /** @type {[number, number, number] | null} */
  let pointed = null; // [index, x, y] of the unit that the words are about

  const heading = h("b");
  const size = h("span", { class: "ck-soft" });
  const chip = h("span", { class: "ck-chip ck-chip-untrained", text: "untrained" });
  const range = h("span", { class: "ck-soft ck-small", role: "status" });
  /** @type {(text: string, label: string, step: number) => HTMLElement} */
  const turn = (text, label, step) => {
    const button = h("button", { type: "button", class: "ck-icon", "aria-label": label, text });
    button.addEventListener("click", () => {
      const offset = target(step);
      if (offset !== null) send(model, { type: "page", offset });
    });
    return button;
  };
  const before = turn("‹", "previous channels", -1);
  const after = turn("›", "next channels", 1);
  const pager = h("span", { class: "ck-pager" }, before, range, after);
  const grid = h("div", { class: "ck-grid" });
  const cells = () => /** @type {HTMLElement[]} */ ([...grid.querySelectorAll(".ck-map-image")]);
  const sheet = map_sheet.render({ grid, cells });
  grid.append(sheet.node);
  const place = h("div"); // of the unit that is open
  const largest = h("section");
  const best = vector_values.render({ el: largest });
  const head = h("div", { class: "ck-grid-head" }, heading, size, chip, pager);
  const hint = h("p", { class: "ck-hint ck-soft" });
  const order = choice("sort", (id) => send(model, { type: "order", order: id }));
  const scale = choice("scale", (id) => send(model, { type: "scale", scale: id }));
  const colours = choice("colours", (id) => ((signed = id === "signed"), refresh()));
  el.classList.add("ck-maps");
  el.replaceChildren(place, head, grid, largest, hint);
  tools.replaceChildren(order.node, scale.node, colours.node);
  const unit = unit_view.render({ model, el: place, picture, data: () => drawn, close: () => leave(), step });

  const state = () => model.get("state") ?? {};
  const features = () => state().features ?? null;

  function target(/** @type {number} */ step) {
    const { offset, page_size, channels } = features() ?? { offset: 0, page_size: 24, channels: 0 };
    const next = Math.max(0, offset + step * page_size);
    return next === offset || next >= channels ? null : next;
  }

  // Where the numbers of a map begin, at the time step that is shown.
  /** @type {(features: Maps, index: number) => number} */
  const startOf = ({ width, height, steps }, index) => (index * steps + picture.step()) * width * height;

  // A vector comes as one map with its values in rows, the last of which need not be full.
  const isVector = () => drawn?.features.kind === "vector";

  /** @type {(index: number, x: number, y: number) => void} */
  function describe(index, x, y) {
    if (!drawn) return;
    pointed = [index, x, y];
    const { maps, width, height, field, values, names } = drawn.features;
    const part = drawn.numbers[startOf(drawn.features, index) + y * width + x] / 65535;
    const value = `value ${figure(maps[index].low + part * (maps[index].high - maps[index].low))}`;
    if (isVector()) {
      picture.point(null);
      const index = y * width + x;
      return say(picture.readout, index < values ? `${names[index] ?? `feature ${index}`} · ${value}` : "");
    }
    const where = width * height === 1 ? "" : height === 1 ? ` at ${x}` : ` at (${x}, ${y})`;
    const onPicture = height > 1; // a strip has no places on the picture
    const seen = onPicture && field ? "\nthe square is what this unit sees" : "";
    say(picture.readout, `channel ${maps[index].channel}${where} · ${value}${seen}`);
    picture.point(onPicture ? { x, y, width, height, field } : null);
  }

  /** @type {(shown: DrawnMaps, index: number) => [number, number]} */
  function strongest({ features, numbers }, index) {
    const { width, height, values } = features;
    const from = startOf(features, index);
    const page = numbers.subarray(from, from + width * height);
    let best = 0;
    const end = isVector() ? values : page.length;
    for (let i = 1; i < end; i++) if (page[i] > page[best]) best = i;
    return [best % width, Math.floor(best / width)];
  }

  // What the words and the square say when nothing is hovered: the chosen unit, or how to begin.
  function rest() {
    if (el.hidden) return; // the words and the square are another view's now
    if (drawn && chosen && chosen.block === state().block) {
      const { channel, x, y } = chosen;
      const index = drawn.features.maps.findIndex((map) => map.channel === channel);
      if (index >= 0) return describe(index, x, y);
    }
    pointed = null;
    picture.point(null);
    say(picture.readout, drawn ? `Point at ${isVector() ? "a cell" : "a map"} to read values.` : "");
  }

  function createMap() {
    const image = h("div", { class: "ck-map-image", role: "img", "aria-describedby": picture.readout.id });
    const label = h("span", { class: "ck-channel" });
    let index = 0;
    /** @type {(event: PointerEvent | MouseEvent) => [number, number]} */
    const under = (event) => {
      const { width, height } = drawn?.features ?? { width: 1, height: 1 };
      const box = image.getBoundingClientRect();
      return [
        clamp(Math.floor(((event.clientX - box.left) / box.width) * width), 0, width - 1),
        clamp(Math.floor(((event.clientY - box.top) / box.height) * height), 0, height - 1),
      ];
    };
    const choose = (/** @type {[number, number]} */ [x, y]) => {
      if (!drawn) return;
      chosen = { block: state().block, channel: drawn.features.maps[index].channel, x, y };
      reach = index;
      mark();
      if (isVector()) return describe(index, x, y);
      early = { channel: chosen.channel, at: [x, y] };
      send(model, { type: "features_unit", channel: chosen.channel, row: y, column: x });
      refresh();
      unit.focus();
    };
    image.addEventListener("pointermove", (event) => drawn && describe(index, ...under(event)));
    image.addEventListener("pointerleave", rest);
    image.addEventListener("click", (event) => drawn && choose(under(event)));
    image.addEventListener("focus", () => drawn && image.matches(":focus-visible") && describe(index, ...strongest(drawn, index)));
    image.addEventListener("blur", rest);
    image.addEventListener("keydown", (event) => {
      if (!drawn || (isVector() && within(event))) return;
      const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
      /** @type {Record<string, number>} */
      const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -Infinity, End: Infinity };
      if (event.key in steps) {
        const all = cells();
        reach = clamp(index + steps[event.key], 0, all.length - 1);
        mark();
        all[reach].focus();
      } else if (event.key === "Enter" || event.key === " ") {
        choose(strongest(drawn, index));
      } else {
        return;
      }
      event.preventDefault();
    });
    return {
      node: h("div", { class: "ck-map-cell" }, image, label),
      update(/** @type {ShownMap} */ map, /** @type {number} */ i) {
        index = i;
        put(image, "aria-label", isVector() ? `${drawn?.features.values} values` : `channel ${map.channel}`);
        say(label, isVector() ? "" : map.channel);
        if (drawn) image.style.aspectRatio = `${drawn.features.width} / ${drawn.features.height}`;
      },
    };
  }

  function paint() {
    if (!drawn) return;
    const { numbers, features } = drawn;
    const { maps, width, height, values } = features;
    sheet.show({
      width, height, count: maps.length,
      color(index, out) {
        const [from, colours] = [startOf(features, index), coloursOf(maps[index])];
        const end = isVector() ? values : out.length;
        for (let i = 0; i < end; i++) out[i] = colours[numbers[from + i] >> 8];
        out.fill(0, end);
      },
    });
  }

  // What the numbers of a map are painted with, by their upper eight bits.
  /** @type {(map: ShownMap) => Uint32Array} */
  function coloursOf({ low, high }) {
    if (!signed) return VIRIDIS;
    const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
    const at = (/** @type {number} */ part) => 0.5 + (low + (part / 255) * (high - low)) / (2 * most);
    return VIRIDIS.map((_, part) => palette[clamp(Math.round(255 * at(part)), 0, 255)]);
  }

  // In a vector the arrows go from value to value.
  function within(/** @type {KeyboardEvent} */ event) {
    const { width, values } = drawn?.features ?? { width: 1, values: 1 };
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: width, ArrowUp: -width, Home: -Infinity, End: Infinity }[event.key];
    if (!step || !drawn) return false;
    const from = pointed ? pointed[2] * width + pointed[1] : 0;
    const to = clamp(from + step, 0, values - 1);
    chosen = { block: state().block, channel: drawn.features.maps[0].channel, x: to % width, y: Math.floor(to / width) };
    describe(0, chosen.x, chosen.y);
    event.preventDefault();
    return true;
  }

  const open = () => (early === undefined ? told && { channel: told.channel, at: told.position && flipped(told.position) } : early);

  // Python counts (row, column).
  const flipped = (/** @type {[number, number]} */ [row, column]) => /** @type {[number, number]} */ ([column, row]);

  function leave() {
    const channel = open()?.channel;
    early = null;
    send(model, { type: "features_close" });
    refresh();
    const at = drawn?.features.maps.findIndex((map) => map.channel === channel) ?? -1;
    cells()[Math.max(0, at)]?.focus({ preventScroll: true });
  }

  // To the channel before or after, in the order that they are sorted in.
  function step(/** @type {-1 | 1} */ by) {
    const channel = by < 0 ? told?.before : told?.after;
    const at = open()?.at ?? told?.position;
    if (channel === null || channel === undefined) return;
    const [x, y] = at ?? [0, 0];
    early = drawn?.features.maps.some((map) => map.channel === channel) ? { channel, at: [x, y] } : undefined;
    send(model, { type: "features_unit", channel, row: y, column: x });
    refresh();
  }

  function mark() {
    cells().forEach((image, i) => {
      const on = chosen?.block === state().block && drawn?.features.maps[i].channel === chosen?.channel;
      image.parentElement?.classList.toggle("ck-chosen", on);
      put(image, "tabindex", i === reach ? "0" : "-1");
    });
  }

  function update() {
    const now = features();
    const numbers = words(model.get("pixels"));
    // State and numbers may arrive one after the other: nothing is drawn before both belong together.
    const whole = now?.maps.length && numbers.length === now.maps.length * now.steps * now.height * now.width;
    if (now?.maps.length && !whole && drawn) return;
    drawn = whole ? { features: now, numbers } : null;
    const opened = Boolean(drawn && drawn.features.kind !== "vector" && open());
    palette = signed ? signedColours(el) : VIRIDIS;
    head.hidden = grid.hidden = !drawn || opened;
    tools.classList.toggle("ck-opened", opened);
    say(hint, drawn ? "" : state().hint);
    hint.hidden = Boolean(drawn) || !hint.textContent;
    chip.hidden = !state().untrained;
    if (drawn) {
      const { maps, channels, width, height, values, offset, page_size } = drawn.features;
      say(heading, state().block);
      const strip = drawn.features.kind === "sequence" ? "steps" : "tokens";
      const shape = height === 1 ? (width === 1 ? "" : `${width} ${strip}`) : `${width} × ${height}`;
      const many = `${channels} ${channels === 1 ? "channel" : "channels"}`;
      say(size, isVector() ? `${values} values` : [shape, many].filter(Boolean).join(" · "));
      grid.classList.toggle("ck-strips", !isVector() && width > 8 * height);
      grid.classList.toggle("ck-single", isVector());
      pager.hidden = channels <= page_size;
      say(range, `${offset + 1}–${offset + maps.length} of ${channels}`);
      put(before, "aria-disabled", target(-1) === null ? "true" : null);
      put(after, "aria-disabled", target(1) === null ? "true" : null);
      reach = clamp(reach, 0, maps.length - 1);
      follow(grid, maps, (_, place) => String(place), createMap);
      paint();
      mark();
    }
    best.show(drawn);
    const unitOpen = opened ? open() : null;
    if (unitOpen) return unit.show(unitOpen.channel, unitOpen.at, told?.channel === unitOpen.channel ? told : null);
    unit.hide();
    rest();
  }

  // Another moment of the same maps.
  function show() {
    if (!drawn) return;
    if (place.firstChild) return refresh();
    paint();
    if (pointed) describe(...pointed);
  }

  function refresh() {
    update();
    const now = features();
    // One map has no order, and no scale to share.
    tools.classList.toggle("ck-none", !now || now.kind === "vector");
    if (!now) return;
    order.update(now.orders, now.order);
    scale.update(SCALES, now.scale);
    colours.update(COLOURS, signed ? "signed" : "viridis");
  }

  function listen() {
    const pane = model.get("pane");
    if (pane?.tab !== "features") return;
    told = pane.unit ?? null;
    early = undefined;
  }

  picture.onMove(show);
  el.addEventListener("ck-shown", rest);
  listen();
  refresh();
  const stops = [
    sheet.close,
    watch(model, ["pane"], () => (listen(), refresh())),
    onTheme(refresh), // signed colours are the page's
    watch(model, ["state", "pixels", "source", "busy", "picture"], refresh),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
