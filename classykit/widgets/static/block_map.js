// @ts-check
// The whole network as one picture: height for resolution, width for channels, colour for a cost, repeats in piles.
// What the reader chose of the looks stays on this page; which block is chosen goes both ways.

const LARGER = 1.25; // a step of the zoom

/** @param {Props<MapTraits>} props */
function render({ model, el }) {
  dress(el, "ck-map");
  /** @type {string | null} */
  let colourBy = null; // the reader's choice, until the controller makes another
  /** @type {string | undefined} */
  let told; // the controller's last choice
  let sizeBy = "resolution";
  /** @type {boolean | null} */
  let foldAll = null; // null: as it fits
  let foldsAlone = false;
  const opened = new Set(); // runs by the names of their stages, which outlive a change of keys
  /** @type {number | "all" | null} */
  let zoom = null;
  let at = 0; // the item that Tab reaches
  /** @type {MapPlaces | null} */
  let places = null;
  let available = 0;
  let family = "sans-serif";

  const state = () => model.get("state") ?? {};
  const blocks = () => state().blocks ?? [];
  const items = () => (places?.all ?? []).map((place) => place.item);
  const folds = () => foldAll ?? foldsAlone;
  const folded = (/** @type {string} */ run) => folds() && !opened.has(run);
  const repeats = () => blocks().some((block) => block.run);
  const opens = (/** @type {string} */ run) => Boolean(run) && folds() && opened.has(run);

  const drawing = map_drawing.render({ pick, open, point, arrive, fold, choose: select });
  const { svg, list, options } = drawing;
  const scroller = h("div", { class: "ck-map-scroll" }, svg);
  const card = map_card.render({ measures: () => state().colors ?? [], chosen: () => items()[where(model.get("selected"))] ?? null });
  const overview = map_overview.render({ scroller, moved: headings });
  const search = map_search.render({ blocks, found, choose: find, leave: () => options()[at]?.focus() });

  const toggle = h("button", { type: "button", class: "ck-map-fold", role: "switch" }, h("span", { class: "ck-knob" }), "fold repeats");
  toggle.addEventListener("click", () => {
    foldAll = !folds();
    opened.clear();
    keepInView(draw);
  });
  const size = choice("height", (id) => ((sizeBy = id), measure(id), draw()));
  const widths = h("span", { class: "ck-map-widths" }, "width ", h("b", { text: "channels" }));
  const colour = choice("colour", (id) => ((colourBy = id), measure(id), paint()));
  const [lowest, highest] = [h("span"), h("span")];
  const ramp = h("span", { class: "ck-ramp", "aria-hidden": "true" });
  const button = (/** @type {string} */ text, /** @type {string} */ name, /** @type {() => void} */ act) =>
    h("button", { type: "button", class: "ck-icon", text, "aria-label": name, title: name, on: { click: act } });
  const out = button("−", "Zoom out (−)", () => zoomBy(1 / LARGER));
  const into = button("+", "Zoom in (+)", () => zoomBy(LARGER));
  const whole = button("fit", "Fit the whole map (0)", fitAll);
  const controls = h("div", { class: "ck-map-controls" }, toggle, size.node, widths, colour.node);
  controls.append(h("span", { class: "ck-map-ends" }, lowest, ramp, highest), h("span", { class: "ck-map-zoom" }, out, into, whole, search.node));
  el.replaceChildren(scroller, card.node, h("div", { class: "ck-legend" }, overview.node, controls));

  function select(/** @type {string} */ name) {
    if (model.get("selected") === name) return;
    model.set("selected", name);
    model.save_changes();
  }

  const chosen = (/** @type {number} */ index) => !items()[index].pile && items()[index].blocks[0].name === model.get("selected");

  // What is in the block: its layers.
  function open(/** @type {number} */ index) {
    send(model, { type: "open_block", block: items()[index].blocks[0].name });
  }

  function measure(/** @type {string} */ id) {
    if (id === "time" && !blocks().some((block) => block.values.time)) send(model, { type: "measure" });
  }

  // ---- folding ----

  function pick(/** @type {number} */ index) {
    const item = items()[index];
    if (!item.pile) {
      select(item.blocks[0].name);
      return queueMicrotask(() => move(index)); // to focus lays the page out: once all is marked, then once is enough
    }
    opened.add(item.blocks[0].run);
    keepInView(draw);
    const inside = item.blocks.find((block) => block.name === model.get("selected")) ?? item.blocks[0];
    move(where(inside.name));
    select(inside.name);
  }

  function fold(/** @type {string} */ run) {
    const held = list.contains(focused(el));
    opened.delete(run);
    keepInView(draw);
    const pile = items().findIndex((item) => item.blocks[0].run === run);
    if (held) move(pile);
  }

  // A block that was searched for is shown itself.
  function find(/** @type {string} */ name) {
    const run = blocks().find((block) => block.name === name)?.run;
    if (run && folded(run)) {
      opened.add(run);
      draw();
    }
    move(where(name));
    select(name);
  }

  const where = (/** @type {string | undefined} */ name) => items().findIndex((item) => item.blocks.some((block) => block.name === name));

  // ---- the keyboard ----

  function move(/** @type {number} */ index) {
    at = clamp(index, 0, items().length - 1);
    tabStop();
    options()[at]?.focus({ preventScroll: true });
    reveal(at);
  }

  const tabStop = () => options().forEach((option, i) => put(option, "tabindex", i === at ? "0" : "-1"));

  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const index = options().findIndex((option) => option === event.target);
    if (index < 0) return;
    /** @type {Record<string, number>} */
    const goals = { ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowUp: index - 1, Home: 0, End: Infinity };
    if (event.key in goals) move(goals[event.key]);
    else if (event.key === "Enter" && chosen(index)) open(index);
    else if (event.key === "Enter" || event.key === " ") pick(index);
    else if (event.key === "Escape") leave(index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  // First what is said of the block goes, then the run is folded again.
  function leave(/** @type {number} */ index) {
    const { run } = items()[index].blocks[0];
    if (!card.hide() && opens(run)) fold(run);
  }

  el.addEventListener("keydown", (event) => {
    const typing = event.target instanceof Element && event.target.matches("input, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const [larger, smaller] = [() => zoomBy(LARGER), () => zoomBy(1 / LARGER)];
    /** @type {Record<string, () => void>} */
    const acts = { "+": larger, "=": larger, "-": smaller, "0": fitAll, "/": search.begin };
    if (event.key in acts) acts[event.key]();
    else if (event.key !== "Escape" || !card.hide()) return;
    event.preventDefault();
    event.stopPropagation();
  });

  // ---- what is in view ----

  // Scrolls the map alone, and only as far as it takes.
  function reveal(/** @type {number} */ index) {
    const place = places?.all[index];
    if (!place || !places || places.end <= available) return;
    const margin = 40;
    const left = scroller.scrollLeft;
    const right = place.x + place.width + margin - available;
    if (place.x - margin < left) scroller.scrollLeft = place.x - margin;
    else if (right > left) scroller.scrollLeft = right;
  }

  /**
   * Redraws so that the block under a place of the band stays there: the chosen one, or where the pointer is.
   * @param {() => void} act
   * @param {number} [pointer] pixels from the band's left
   */
  function keepInView(act, pointer) {
    const left = scroller.scrollLeft;
    const all = places?.all ?? [];
    const under = pointer === undefined ? where(model.get("selected")) : all.findIndex((place) => place.x + place.width > left + pointer);
    const place = all[Math.max(under, 0)];
    const share = place && pointer !== undefined ? clamp((left + pointer - place.x) / place.width, 0, 1) : 0.5;
    const before = place ? place.x + share * place.width - left : 0;
    act();
    const now = place && places?.all[where(place.item.blocks[0].name)];
    if (now) scroller.scrollLeft = now.x + share * now.width - before;
  }

  /** @type {(factor: number, pointer?: number) => void} */
  function zoomBy(factor, pointer) {
    if (!places) return;
    zoom = clamp(places.scale * factor, MAP_SCALES.dense, MAP_SCALES.largest);
    keepInView(draw, pointer);
  }

  function fitAll() {
    zoom = "all";
    draw();
  }

  map_hand.render({ scroller, zoomBy, wide: () => (places?.end ?? 0) > available });

  // ---- what is said ----

  function aria(/** @type {MapItem} */ { blocks: own, pile }) {
    const [block] = own;
    const last = own[own.length - 1];
    const costs = (state().colors ?? []).filter((item) => block.values[item.id]).map((item) => `${block.values[item.id]} ${item.label}`);
    const heads = block.heads.map((head) => `head ${head.label}`);
    const inside = pile && own.find((other) => other.name === model.get("selected"));
    const repeated = pile ? [`${own.length} blocks folded, to ${last.name}`, inside ? `${inside.name} is chosen` : "", "Enter opens them"] : [];
    const off = own.some((other) => other.off) ? "a channel is switched off" : "";
    return [block.name, block.shape, block.type, ...costs, ...heads, off, ...repeated].filter(Boolean).join(", ");
  }

  function point(/** @type {number} */ index) {
    card.show(items()[index] ?? null);
  }

  function arrive(/** @type {number} */ index) {
    reveal(index);
    point(index);
  }

  list.addEventListener("focusout", () => card.show(null));
  el.addEventListener("pointerleave", () => card.show(null));

  const shows = (/** @type {MapItem} */ item) => !search.asked() || item.blocks.some(search.matches);
  const tell = () => places && drawing.tell(aria, places, shows);

  function found() {
    tell();
    const first = search.now();
    if (first) reveal(where(first.name));
  }

  // ---- drawing ----

  function draw() {
    if (!available) return; // not on the page yet; the observer calls again
    const now = state();
    const spatial = blocks().some((block) => block.kind !== "vector");
    const sizes = (now.sizes ?? []).map((item) => (item.id === "resolution" && !spatial ? { ...item, label: "alike" } : item));
    const known = sizeBy !== "resolution" && blocks().some((block) => sizeBy in block.shares); // no time before it is measured
    const by = known ? sizeBy : "resolution";
    const most = Math.max(...blocks().map((block) => block.shares[by] ?? 0)) || 1;
    const look = { family, by, most, spatial, input: now.input ?? "", open: opens };
    size.node.hidden = !sizes.length;
    size.update(sizes, sizeBy);
    foldsAlone = foldsByItself(blocks(), look, available);
    toggle.hidden = !repeats();
    put(toggle, "aria-checked", folds() ? "true" : "false");
    places = mapFit(mapItems(blocks(), folded), look, available, zoom);
    const pills = mapPills(places, family);
    const tallest = Math.max(MAP_PICTURE, ...places.all.map((place) => place.height));
    const over = Math.max(0, ...places.all.map((place) => place.top));
    const highest = Math.min(0, ...pills.map((pill) => pill.y));
    places.axis = MAP_RULE + Math.max(tallest / 2 + 24, over + 8, 8 - highest);
    places.low = places.axis + tallest / 2; // names and channels stand below
    put(svg, "width", Math.floor(Math.max(places.end, available)));
    put(svg, "height", Math.ceil(places.low + 44));
    drawing.draw(places, pills, now.input ?? "", model.get("picture") ?? "", opens);
    scroller.classList.toggle("ck-scrolls", places.end > available);
    paint();
    mark();
    card.rest();
    tell();
    headings();
  }

  function headings() {
    if (places && places.end > available) drawing.head(places, scroller.scrollLeft, available);
  }

  function paint() {
    if (!places) return;
    const now = state();
    const colours = now.colors ?? [];
    if (now.color_by !== told) {
      told = now.color_by;
      colourBy = null;
    }
    const by = colours.find((item) => item.id === colourBy)?.id ?? now.color_by ?? "";
    const shown = blocks().some((block) => by in block.shares) ? by : (now.color_by ?? ""); // a time that is being measured
    const measured = blocks().filter((block) => shown in block.shares).sort((a, b) => a.shares[shown] - b.shares[shown]);
    const { ends: said } = colours.find((item) => item.id === shown) ?? {};
    const low = said ? measured[0]?.shares[shown] : 0;
    const range = (measured[measured.length - 1]?.shares[shown] ?? 0) - low || 1;
    colour.node.hidden = ramp.hidden = colours.length === 0;
    colour.update(colours, by);
    say(lowest, said ? measured[0]?.values[shown] : "");
    say(highest, said ? measured[measured.length - 1]?.values[shown] : "");
    const fill = (/** @type {Block} */ block) =>
      shown in block.shares
        ? `color-mix(in srgb, var(--ck-ramp-low), var(--ck-ramp-high) ${(((block.shares[shown] - low) / range) * 100).toFixed(1)}%)`
        : "";
    drawing.paint(places, fill);
    overview.draw(places, available, fill);
    overview.mark(model.get("selected"));
  }

  function mark() {
    if (!places) return -1;
    const selected = model.get("selected");
    const chosen = drawing.mark(places, family, selected);
    overview.mark(selected);
    if (!list.contains(focused(el))) at = Math.max(chosen, 0);
    at = clamp(at, 0, Math.max(items().length - 1, 0));
    tabStop();
    return chosen;
  }

  function onState() {
    card.show(null);
    draw();
  }

  function onSelected() {
    reveal(mark());
    card.rest();
    if (items().some((item) => item.pile)) tell(); // which of its blocks is chosen
  }

  function onFont() {
    family = getComputedStyle(el).fontFamily || family;
    draw();
  }

  const observer = new ResizeObserver(() => {
    if (scroller.clientWidth === available) return;
    const first = available === 0;
    available = scroller.clientWidth;
    if (first) onFont();
    else draw();
    reveal(where(model.get("selected")));
  });
  observer.observe(scroller);
  // Fonts that arrive late change the widths of the labels.
  document.fonts?.ready.then(() => el.isConnected && onFont());
  const stops = [watch(model, ["state", "picture"], onState), watch(model, ["selected"], onSelected), () => observer.disconnect()];
  return () => stops.forEach((stop) => stop());
}

export default { render };
