// @ts-check
// The whole network as one picture: height for resolution, width for channels, colour for a cost.

const EDGE = 22; // empty space left and right
const PICTURE = 66;
const RULE = 29; // where the groups' rules lie; their headings stand above
const PILL = 22; // a pill's height
const NARROWEST = 14;

// Text widths are measured, so that labels can be thinned out before they overlap.
const pen = document.createElement("canvas").getContext("2d");
/** @type {(text: string, size: number, family: string, weight?: number) => number} */
function textWidth(text, size, family, weight = 400) {
  if (!pen) return 0;
  pen.font = `${weight} ${size}px ${family}`;
  return pen.measureText(text).width;
}

// The end of a block's long name tells more than its beginning; a pill ends in its figure and begins with its name.
/** @type {(text: string, most: number) => string} */
const tail = (text, most) => (text.length > most ? `…${text.slice(1 - most).replace(/^[._\-\s]+/, "")}` : text);
/** @type {(text: string, most: number) => string} */
const ends = (text, most) =>
  text.length > most ? `${text.slice(0, Math.ceil(most / 2))}…${text.slice(1 - Math.floor(most / 2))}` : text;

// Tokens stand for the square map that they would make, a vector for a single place. Where nothing has a resolution
// the height says nothing, and is only pleasant.
/** @type {(block: Block, spatial: boolean) => number} */
function blockHeight(block, spatial) {
  if (!spatial && block.kind === "vector") return 40;
  const side = block.height || (block.kind === "tokens" ? Math.sqrt(parseInt(block.shape, 10) || 196) : 1);
  return clamp(26 + 23 * Math.log2(side / 7), 12, 150);
}

/** @type {(block: Block, scale: number) => number} */
const blockWidth = (block, scale) =>
  clamp((14 + 1.8 * Math.sqrt(Math.max(block.width || 1, 1))) * scale, NARROWEST, 120);

/**
 * Where a block goes, and what stands below it. `axis` is set when it is drawn.
 * @typedef {{ block: Block, x: number, width: number, height: number, group: number, nth: number, label: string,
 *   count: string }} Place
 * @typedef {ReturnType<typeof across>} Places
 */

/**
 * Where everything goes, around an axis at y = 0, at one scale of the widths.
 * @param {MapState} state
 * @param {number} scale
 * @param {string} family
 */
function across(state, scale, family) {
  /** @type {Place[]} */
  const blocks = [];
  const groups = [];
  const inner = clamp(7 * scale, 3, 9);
  const between = clamp(20 * scale, 11, 30);
  const label = Math.max(textWidth(state.input ?? "", 10, family), PICTURE);
  const input = { x: EDGE + (label - PICTURE) / 2, middle: EDGE + label / 2 };
  let x = EDGE + label + between;
  const all = state.blocks ?? [];
  const spatial = all.some((block) => block.kind !== "vector");
  for (let start = 0; start < all.length; ) {
    let end = start;
    while (end < all.length && all[end].group === all[start].group) end++;
    const members = all.slice(start, end);
    const heading = ends(all[start].group, 24);
    const widths = members.map((block) => blockWidth(block, scale));
    const own = widths.reduce((sum, width) => sum + width + inner, -inner);
    // A group is as wide as its heading at least.
    const slot = Math.max(own, textWidth(heading, 11, family) + 4);
    let left = x + (slot - own) / 2;
    const rule = [Math.min(left, x + 2), Math.max(left + own, x + slot - 2)];
    members.forEach((block, i) => {
      blocks.push({
        block,
        x: left,
        width: widths[i],
        height: blockHeight(block, spatial),
        group: start,
        nth: i,
        label: tail(block.label, 16),
        count: block.width ? String(block.width) : "",
      });
      left += widths[i] + inner;
    });
    groups.push({ heading, middle: x + slot / 2, rule });
    x += slot + between;
    start = end;
  }
  const last = blocks.length ? blocks[blocks.length - 1].x + blocks[blocks.length - 1].width : x - between;
  return { blocks, groups, input, last, inner, end: last + EDGE, axis: 0 };
}

// The widest scale that fits; where none does, one that is easy to read, and the map scrolls.
/** @type {(state: MapState, available: number, family: string) => Places} */
function fit(state, available, family) {
  const most = 1.4;
  const wide = across(state, most, family);
  if (wide.end <= available) return wide;
  let low = 0.25;
  const tight = across(state, low, family);
  if (tight.end > available) return across(state, 0.9, family);
  let high = most;
  for (let i = 0; i < 14; i++) {
    const middle = (low + high) / 2;
    if (across(state, middle, family).end <= available) low = middle;
    else high = middle;
  }
  return across(state, low, family);
}

/**
 * Heads stand as pills above their blocks, as low as blocks, arcs and other pills let them.
 * @typedef {{ text: string, full: string, x: number, y: number, width: number, foot: number, top: number,
 *   name: string }} Pill
 * @param {Places} places
 * @param {string} family
 */
function hang(places, family) {
  /** @type {Pill[]} */
  const pills = [];
  for (const place of places.blocks) {
    for (const head of place.block.heads) {
      const text = ends(head.label, 30);
      const width = textWidth(text, 11, family, 600) + 22;
      const foot = place.x + place.width / 2;
      const x = clamp(foot - width / 2, 4, Math.max(4, places.end - width - 4));
      let top = 0;
      for (const other of places.blocks) {
        if (other.x - 4 < x + width && other.x + other.width + 4 > x) {
          top = Math.min(top, -other.height / 2 - (other.block.skip ? 9 : 0));
        }
      }
      let y = top - 7 - PILL;
      const clash = () =>
        pills.find((pill) => pill.x < x + width + 4 && x < pill.x + pill.width + 4 && Math.abs(pill.y - y) < PILL + 3);
      for (let hit = clash(); hit; hit = clash()) y = hit.y - PILL - 3;
      pills.push({ text, full: head.label, x, y, width, foot, top: -place.height / 2, name: place.block.name });
    }
  }
  return pills;
}

/**
 * Which labels can be shown side by side: the chosen block's, then every group's first, then in each group every
 * second, third, ... as there is room. `nth` is the place in its group.
 * @typedef {{ index: number, group: number, nth: number, chosen: boolean, middle: number, width: number }} Label
 * @param {Label[]} labels
 * @param {number} gap
 */
function thin(labels, gap) {
  /** @type {Map<number, number>} */
  const steps = new Map();
  labels.forEach((label, i) => {
    const next = labels[i + 1];
    if (next?.group !== label.group) return;
    const step = Math.ceil(((label.width + next.width) / 2 + gap) / (next.middle - label.middle));
    steps.set(label.group, Math.max(steps.get(label.group) ?? 1, step));
  });
  const rank = (/** @type {Label} */ label) => (label.chosen ? 0 : label.nth === 0 ? 1 : 2);
  /** @type {Label[]} */
  const kept = [];
  for (const label of [...labels].sort((a, b) => rank(a) - rank(b) || a.index - b.index)) {
    if (!label.chosen && label.nth % (steps.get(label.group) ?? 1)) continue;
    const clear = kept.every(
      (other) => Math.abs(other.middle - label.middle) >= (other.width + label.width) / 2 + gap,
    );
    if (clear) kept.push(label);
  }
  return new Set(kept.map((label) => label.index));
}

/** @param {Props<MapTraits>} props */
function render({ model, el }) {
  dress(el, "ck-map");
  /** @type {string | null} */
  let colourBy = null; // the reader's choice, until the controller makes another
  /** @type {string | undefined} */
  let told; // the controller's last choice
  let at = 0; // the block that Tab reaches
  /** @type {Places | null} */
  let places = null;
  let drawnWidth = 0;

  const back = s("g", { "aria-hidden": "true" });
  const list = s("g", { role: "listbox", "aria-label": "Architecture", "aria-orientation": "horizontal" });
  const front = s("g", { "aria-hidden": "true" });
  const svg = s("svg", { class: "ck-map-svg", role: "none" }, back, list, front);
  const scroller = h("div", { class: "ck-map-scroll" }, svg);
  const tip = h("div", { class: "ck-tip", popover: "manual", "aria-hidden": "true" });
  const heights = h("span", {}, h("span", { text: "height " }), h("b", { text: "resolution" }));
  const widths = h("span", {}, h("span", { text: "width " }), h("b", { text: "channels" }));
  const colour = choice("colour", (id) => {
    colourBy = id;
    if (id === "time" && !blocks().some((block) => block.values.time)) send(model, { type: "measure" });
    paint();
  });
  const ramp = h("span", { class: "ck-ramp", "aria-hidden": "true" });
  const legend = h("div", { class: "ck-legend" }, heights, widths, colour.node, ramp);
  el.replaceChildren(scroller, legend, tip);

  const state = () => model.get("state") ?? {};
  const blocks = () => state().blocks ?? [];
  const options = () => /** @type {SVGElement[]} */ ([...list.children]);
  const font = () => getComputedStyle(el).fontFamily || "sans-serif";

  function select(/** @type {string} */ name) {
    if (model.get("selected") === name) return;
    model.set("selected", name);
    model.save_changes();
  }

  function move(/** @type {number} */ index) {
    at = clamp(index, 0, blocks().length - 1);
    options().forEach((option, i) => put(option, "tabindex", i === at ? "0" : "-1"));
    options()[at]?.focus({ preventScroll: true });
    reveal(at);
  }

  list.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const index = options().findIndex((option) => option === event.target);
    if (index < 0) return;
    /** @type {Record<string, number>} */
    const goals = {
      ArrowRight: index + 1,
      ArrowDown: index + 1,
      ArrowLeft: index - 1,
      ArrowUp: index - 1,
      Home: 0,
      End: Infinity,
    };
    if (event.key in goals) move(goals[event.key]);
    else if (event.key === "Enter" || event.key === " ") select(blocks()[index].name);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  // Scrolls the map alone, and only as far as it takes.
  function reveal(/** @type {number} */ index) {
    const place = places?.blocks[index];
    if (!place) return;
    const margin = 40;
    const right = place.x + place.width + margin - scroller.clientWidth;
    if (place.x - margin < scroller.scrollLeft) scroller.scrollLeft = place.x - margin;
    else if (right > scroller.scrollLeft) scroller.scrollLeft = right;
  }

  function aria(/** @type {Block} */ block) {
    const costs = (state().colors ?? [])
      .filter((item) => block.values[item.id])
      .map((item) => `${block.values[item.id]} ${item.label}`);
    const heads = block.heads.map((head) => `head ${head.label}`);
    return [block.name, block.shape, block.type, ...costs, ...heads].filter(Boolean).join(", ");
  }

  function showTip(/** @type {number} */ index) {
    const block = blocks()[index];
    const place = places?.blocks[index];
    if (!block || !place || !el.isConnected) return hideTip();
    const figures = (state().colors ?? []).filter((item) => block.values[item.id]);
    tip.replaceChildren(
      h("div", { class: "ck-tip-name", text: block.name }),
      h("div", { class: "ck-soft", text: block.type }),
      h("div", { text: block.shape }),
      ...figures.map((item) =>
        h("div", { class: "ck-tip-row" }, h("span", { class: "ck-soft", text: item.label }), h("span", { text: block.values[item.id] })),
      ),
    );
    tip.showPopover();
    const map = svg.getBoundingClientRect();
    const middle = map.left + place.x + place.width / 2;
    const under = map.bottom - 2;
    const up = under + tip.offsetHeight > innerHeight;
    tip.style.left = `${clamp(middle - tip.offsetWidth / 2, 6, Math.max(6, innerWidth - tip.offsetWidth - 6))}px`;
    tip.style.top = `${up ? map.top + RULE - 6 - tip.offsetHeight : under}px`;
  }

  function hideTip() {
    if (tip.matches(":popover-open")) tip.hidePopover();
  }

  addEventListener("scroll", hideTip, true);

  function createOption() {
    const hit = s("rect", { class: "ck-hit" });
    const ring = s("rect", { class: "ck-ring" });
    const body = s("rect", { class: "ck-block-body", rx: 5 });
    const name = s("text", { class: "ck-block-name" });
    const width = s("text", { class: "ck-block-width" });
    const node = s("g", { role: "option", class: "ck-block" }, hit, ring, body, name, width);
    let index = 0;
    node.addEventListener("click", () => {
      move(index);
      select(blocks()[index].name);
    });
    node.addEventListener("pointerenter", () => showTip(index));
    node.addEventListener("pointerleave", hideTip);
    node.addEventListener("focus", () => {
      if (!node.matches(":focus-visible")) return;
      reveal(index);
      showTip(index);
    });
    node.addEventListener("blur", hideTip);
    return {
      node,
      update(/** @type {{ place: Place, named: boolean, counted: boolean, low: number }} */ now, /** @type {number} */ i) {
        if (!places) return;
        const { place, named, counted, low } = now;
        index = i;
        const { block } = place;
        const middle = place.x + place.width / 2;
        const top = places.axis - place.height / 2;
        const half = places.inner / 2;
        rectangle(hit, place.x - half, RULE + 2, place.width + places.inner, low + 42 - RULE);
        rectangle(ring, place.x - 4, top - 4, place.width + 8, place.height + 8);
        rectangle(body, place.x, top, place.width, place.height);
        put(ring, "rx", 8);
        text(name, named ? place.label : "", middle, low + 22);
        text(width, counted ? place.count : "", middle, low + 36);
        put(node, "aria-label", aria(block));
        node.dataset.name = block.name;
      },
    };
  }

  /** @type {(node: Element, x: number, y: number, width: number, height: number) => void} */
  function rectangle(node, x, y, width, height) {
    put(node, "x", x.toFixed(1));
    put(node, "y", y.toFixed(1));
    put(node, "width", width.toFixed(1));
    put(node, "height", height.toFixed(1));
  }

  /** @type {(node: Element, value: string, x: number, y: number) => void} */
  function text(node, value, x, y) {
    say(node, value);
    put(node, "x", x.toFixed(1));
    put(node, "y", y.toFixed(1));
  }

  function draw() {
    const available = scroller.clientWidth;
    if (!available) return; // not on the page yet; the observer calls again
    drawnWidth = available;
    const family = font();
    const now = state();
    places = fit(now, available, family);
    const pills = hang(places, family);
    const tallest = Math.max(PICTURE, ...places.blocks.map((place) => place.height));
    const arcs = Math.max(0, ...places.blocks.map((place) => place.height / 2 + (place.block.skip ? 9 : 0)));
    const highest = Math.min(0, ...pills.map((pill) => pill.y));
    const axis = RULE + Math.max(tallest / 2 + 24, arcs + 14, 8 - highest);
    const low = axis + tallest / 2; // names and channels stand below
    places.axis = axis;
    const width = Math.max(places.end, available);
    const height = low + 44;
    put(svg, "width", Math.floor(width));
    put(svg, "height", Math.ceil(height));

    const selected = model.get("selected");
    const all = places.blocks;
    const labels = (/** @type {"label" | "count"} */ key, /** @type {number} */ size) =>
      all.map((place, index) => ({
        index,
        group: place.group,
        nth: place.nth,
        chosen: place.block.name === selected,
        middle: place.x + place.width / 2,
        width: textWidth(place[key], size, family, place.block.name === selected ? 600 : 400),
      }));
    const named = thin(labels("label", 11), 3);
    const counted = thin(labels("count", 10), 5);

    drawBack(now, places, low);
    follow(
      list,
      places.blocks.map((place, index) => ({ place, named: named.has(index), counted: counted.has(index), low })),
      ({ place }) => place.block.name,
      createOption,
    );
    drawFront(pills, axis);
    paint();
    mark();
  }

  /** @type {(now: MapState, places: Places, low: number) => void} */
  function drawBack(now, { axis, blocks, input, last, groups, inner }, low) {
    const parts = [];
    parts.push(s("path", { class: "ck-axis", d: `M ${input.x} ${axis} H ${last}` }));
    for (const group of groups) {
      parts.push(s("text", { class: "ck-heading", x: group.middle, y: RULE - 8, text: group.heading }));
      parts.push(s("path", { class: "ck-rule", d: `M ${group.rule[0]} ${RULE} H ${group.rule[1]}` }));
    }
    for (const place of blocks) {
      if (!place.block.skip) continue;
      const reach = Math.min(inner / 2, 3);
      const [left, right] = [place.x - reach, place.x + place.width + reach];
      const top = axis - place.height / 2 - 9;
      parts.push(
        s("path", {
          class: "ck-skip",
          d: `M ${left} ${axis} V ${top + 3} Q ${left} ${top} ${left + 3} ${top} H ${right - 3} Q ${right} ${top} ${right} ${top + 3} V ${axis}`,
        }),
      );
    }
    const frame = { x: input.x, y: axis - PICTURE / 2, width: PICTURE, height: PICTURE };
    parts.push(s("rect", { class: "ck-input-frame", rx: 4, ...frame }));
    const picture = model.get("picture") ?? "";
    // Only pictures that come with the message: nothing is fetched.
    if (picture.startsWith("data:image/")) {
      parts.push(s("image", { class: "ck-input-picture", href: picture, preserveAspectRatio: "xMidYMid slice", ...frame }));
    }
    parts.push(s("text", { class: "ck-block-name", x: input.middle, y: low + 22, text: "input" }));
    parts.push(s("text", { class: "ck-block-width", x: input.middle, y: low + 36, text: now.input ?? "" }));
    back.replaceChildren(...parts);
  }

  /** @type {(pills: Pill[], axis: number) => void} */
  function drawFront(pills, axis) {
    const lines = [];
    const shapes = [];
    for (const { text: label, full, x, y: above, width, foot, top, name } of pills) {
      const y = axis + above;
      lines.push(s("path", { class: "ck-dots", d: `M ${foot} ${y + PILL} V ${axis + top}` }));
      shapes.push(
        s(
          "g",
          { class: "ck-pill", on: { click: () => select(name) } },
          s("title", { text: full }),
          s("rect", { x, y, width, height: PILL, rx: PILL / 2 }),
          s("text", { x: x + width / 2, y: y + PILL / 2 + 4, text: label }),
        ),
      );
    }
    front.replaceChildren(...lines, ...shapes);
  }

  // Colours only: the browser mixes them from the theme's ramp, so that a change of theme needs no redrawing.
  function paint() {
    const now = state();
    const colours = now.colors ?? [];
    if (now.color_by !== told) {
      told = now.color_by;
      colourBy = null;
    }
    const by = colours.find((item) => item.id === colourBy)?.id ?? now.color_by ?? "";
    colour.node.hidden = ramp.hidden = colours.length === 0;
    colour.update(colours, by);
    heights.hidden = !blocks().some((block) => block.height > 0);
    const known = blocks().some((block) => block.shares[by]) ? by : (now.color_by ?? ""); // a time that is being measured
    const shares = blocks().map((block) => Number(block.shares[known]) || 0);
    const most = Math.max(...shares, 0) || 1;
    options().forEach((option, i) => {
      const part = ((shares[i] / most) * 100).toFixed(1);
      const body = /** @type {SVGElement} */ (option.querySelector(".ck-block-body"));
      body.style.fill = `color-mix(in srgb, var(--ck-ramp-low), var(--ck-ramp-high) ${part}%)`;
    });
  }

  function mark() {
    const selected = model.get("selected");
    const held = list.contains(focused(el));
    const chosen = blocks().findIndex((block) => block.name === selected);
    if (!held) at = Math.max(chosen, 0);
    at = clamp(at, 0, Math.max(blocks().length - 1, 0));
    options().forEach((option, i) => {
      put(option, "aria-selected", i === chosen ? "true" : "false");
      put(option, "tabindex", i === at ? "0" : "-1");
    });
    return chosen;
  }

  function onState() {
    hideTip();
    draw();
  }

  function onSelected() {
    // The chosen block's name is always shown: which of the others have room may change.
    draw();
    reveal(mark());
  }

  const observer = new ResizeObserver(() => {
    if (scroller.clientWidth === drawnWidth) return;
    const first = drawnWidth === 0;
    draw();
    if (first) reveal(mark());
  });
  observer.observe(scroller);
  onSelected();
  // Fonts that arrive late change the widths of the labels.
  document.fonts?.ready.then(() => el.isConnected && draw());
  const stops = [
    watch(model, ["state", "picture"], onState),
    watch(model, ["selected"], onSelected),
    () => observer.disconnect(),
    () => removeEventListener("scroll", hideTip, true),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
