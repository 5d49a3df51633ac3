// @ts-check
// The map as it is drawn: the input, blocks and piles as options of a listbox, skips as arcs, heads as pills.

/** @type {(node: Element, x: number, y: number, width: number, height: number) => void} */
function rectangle(node, x, y, width, height) {
  put(node, "x", x.toFixed(1));
  put(node, "y", y.toFixed(1));
  put(node, "width", Math.max(width, 0).toFixed(1));
  put(node, "height", Math.max(height, 0).toFixed(1));
}

/** @type {(node: Element, x: number, y: number) => void} */
function stand(node, x, y) {
  put(node, "x", x.toFixed(1));
  put(node, "y", y.toFixed(1));
}

// From a block's left side over it to its right.
/** @type {(place: MapPlace, places: MapPlaces) => SVGElement} */
function arc(place, { inner, axis }) {
  const reach = clamp(inner / 2 - 1, 0.5, 10);
  const [left, right] = [place.x - reach, place.x + place.width + reach];
  const top = axis - place.height / 2 - 9;
  const turn = Math.min(3, reach + place.width / 2);
  const over = `V ${top + turn} Q ${left} ${top} ${left + turn} ${top} H ${right - turn} Q ${right} ${top} ${right} ${top + turn}`;
  return s("path", { class: "ck-skip", d: `M ${left} ${axis} ${over} V ${axis}` });
}

/** @type {(place: MapPlace, places: MapPlaces) => SVGElement} */
function times({ item, x, width, top }, { axis }) {
  return s("text", { class: "ck-times", x: x + width / 2, y: axis - top + 10, text: `×${item.blocks.length}` });
}

/** @param {MapActs} acts */
function render(acts) {
  const back = s("g", { "aria-hidden": "true" });
  const list = s("g", { role: "listbox", "aria-label": "Architecture", "aria-orientation": "horizontal" });
  const front = s("g", { "aria-hidden": "true" });
  const svg = s("svg", { class: "ck-map-svg", role: "none" }, back, list, front);
  /** @type {WeakMap<Element, { body: SVGElement, name: SVGElement, count: SVGElement }>} */
  const partsOf = new WeakMap();
  /** @type {SVGElement[]} */
  let headings = [];
  const options = () => /** @type {SVGElement[]} */ ([...list.children]);

  function createOption() {
    const [hit, ring, under, sheet, body] = ["hit", "ring", "sheet", "sheet", "block-body"].map((name) =>
      s("rect", { class: `ck-${name}` }),
    );
    const name = s("text", { class: "ck-block-name" });
    const count = s("text", { class: "ck-block-width" });
    const dot = s("circle", { class: "ck-off-dot", r: 3 });
    const node = s("g", { role: "option", class: "ck-block" }, hit, ring, under, sheet, body, dot, name, count);
    partsOf.set(node, { body, name, count });
    let index = 0;
    node.addEventListener("click", () => acts.pick(index));
    node.addEventListener("dblclick", () => acts.open(index));
    node.addEventListener("pointerenter", () => acts.point(index));
    node.addEventListener("focus", () => node.matches(":focus-visible") && acts.arrive(index));
    const update = (/** @type {{ place: MapPlace, places: MapPlaces }} */ now, /** @type {number} */ i) => {
      const { place, places } = now;
      index = i;
      const { item, x, height } = place;
      const top = places.axis - height / 2;
      const width = place.width - (item.pile ? 2 * MAP_SHEET : 0);
      rectangle(hit, x - places.inner / 2, MAP_RULE + 2, place.width + places.inner, places.low + 42 - MAP_RULE);
      rectangle(ring, x - 4, top - 4, place.width + 8, height + 8);
      rectangle(body, x, top, width, height);
      [sheet, under].forEach((node, depth) => {
        node.style.display = item.pile ? "" : "none";
        rectangle(node, x + (depth + 1) * MAP_SHEET, top + depth + 1, width, height - 2 * depth - 2);
      });
      for (const each of [body, sheet, under]) put(each, "rx", Math.min(5, width / 3).toFixed(1));
      put(ring, "rx", 8);
      dot.style.display = item.blocks.some((block) => block.off) ? "" : "none";
      put(dot, "cx", x + width - 5);
      put(dot, "cy", top + 6);
      const middle = x + place.width / 2;
      stand(name, middle, places.low + 22);
      stand(count, middle, places.low + 36);
      node.classList.toggle("ck-pile", item.pile);
      node.dataset.name = item.blocks[0].name;
    };
    return { node, update };
  }

  /** @type {(places: MapPlaces, input: string, picture: string) => void} */
  function drawBack(places, input, picture) {
    const { axis, all, last, groups, low } = places;
    /** @type {SVGElement[]} */
    const parts = [s("path", { class: "ck-axis", d: `M ${places.input.x} ${axis} H ${last}` })];
    headings = groups.map((group) => s("text", { class: "ck-heading", x: group.middle, y: MAP_RULE - 8, text: group.heading }));
    parts.push(...headings);
    for (const group of groups) {
      parts.push(s("path", { class: "ck-rule", d: `M ${group.rule[0]} ${MAP_RULE} H ${group.rule[1]}` }));
    }
    parts.push(...all.filter((place) => place.item.blocks[0].skip).map((place) => arc(place, places)));
    parts.push(...all.filter((place) => place.item.pile).map((place) => times(place, places)));
    const frame = { x: places.input.x, y: axis - MAP_PICTURE / 2, width: MAP_PICTURE, height: MAP_PICTURE };
    parts.push(s("rect", { class: "ck-input-frame", rx: 4, ...frame }));
    // Only pictures that come with the message: nothing is fetched.
    if (picture.startsWith("data:image/")) {
      parts.push(s("image", { class: "ck-input-picture", href: picture, preserveAspectRatio: "xMidYMid slice", ...frame }));
    }
    parts.push(s("text", { class: "ck-block-name", x: places.input.middle, y: low + 22, text: "input" }));
    parts.push(s("text", { class: "ck-block-width", x: places.input.middle, y: low + 36, text: input }));
    back.replaceChildren(...parts);
  }

  /** @type {(pills: MapPill[], places: MapPlaces, open: (run: string) => boolean) => void} */
  function drawFront(pills, places, open) {
    const { axis } = places;
    const lines = [];
    const shapes = [];
    for (const { text: label, full, x, y: above, width, foot, top, name } of pills) {
      const y = axis + above;
      lines.push(s("path", { class: "ck-dots", d: `M ${foot} ${y + MAP_PILL} V ${axis + top}` }));
      shapes.push(
        s(
          "g",
          { class: "ck-pill", on: { click: () => acts.choose(name) } },
          s("title", { text: full }),
          s("rect", { x, y, width, height: MAP_PILL, rx: MAP_PILL / 2 }),
          s("text", { x: x + width / 2, y: y + MAP_PILL / 2 + 4, text: label }),
        ),
      );
    }
    front.replaceChildren(...lines, ...brackets(places, open), ...shapes);
  }

  // Above an open run stands what folds it again, by mouse; Escape does by keyboard.
  /** @type {(places: MapPlaces, open: (run: string) => boolean) => SVGElement[]} */
  function brackets({ all, axis }, open) {
    const runs = new Set(all.map((place) => place.item.blocks[0].run).filter(open));
    return [...runs].map((run) => {
      const of = all.filter((place) => place.item.blocks[0].run === run);
      const last = of[of.length - 1];
      const top = axis - Math.max(...of.map((place) => place.top));
      const [left, right] = [of[0].x, last.x + last.width];
      const middle = (left + right) / 2;
      return s(
        "g",
        { class: "ck-unfold", on: { click: () => acts.fold(run) } },
        s("title", { text: "Fold them again" }),
        s("rect", { class: "ck-hit", x: left, y: top - 10, width: right - left, height: 24 }),
        s("path", { class: "ck-rule", d: `M ${left} ${top + 13} V ${top + 5} H ${middle - 28} M ${middle + 28} ${top + 5} H ${right} V ${top + 13}` }),
        s("text", { class: "ck-times", x: middle, y: top + 9, text: `×${of.length} fold` }),
      );
    });
  }

  /** @type {(places: MapPlaces, pills: MapPill[], input: string, picture: string, open: (run: string) => boolean) => void} */
  function draw(places, pills, input, picture, open) {
    drawBack(places, input, picture);
    follow(
      list,
      places.all.map((place) => ({ place, places })),
      ({ place: { item } }) => (item.pile ? `${item.blocks[0].name} …` : item.blocks[0].name),
      createOption,
    );
    drawFront(pills, places, open);
  }

  // The chosen block's label is always there; of the others those that have room.
  /** @type {(places: MapPlaces, family: string, selected: string) => number} */
  function mark({ all }, family, selected) {
    const chosen = all.findIndex(({ item }) => item.blocks.some((block) => block.name === selected));
    const counts = all.map(({ item }, i) => {
      const inside = i === chosen && item.pile && item.blocks.find((block) => block.name === selected);
      return inside ? `at ${inside.label}` : item.count;
    });
    const weight = (/** @type {boolean} */ on) => (on ? 600 : 400);
    const named = mapLabels(all, chosen, 3, ({ item }, on) => textWidth(item.label, 11, family, weight(on)));
    const counted = mapLabels(all, chosen, 5, (place) => textWidth(counts[all.indexOf(place)], 10, family));
    options().forEach((option, i) => {
      const parts = partsOf.get(option);
      if (!parts || !all[i]) return;
      say(parts.name, named.has(i) ? all[i].item.label : "");
      say(parts.count, counted.has(i) ? counts[i] : "");
      put(option, "aria-selected", i === chosen ? "true" : "false");
    });
    return chosen;
  }

  // The heading of a group that is not all in view stands over the part that is.
  /** @type {(places: MapPlaces, left: number, width: number) => void} */
  function head({ groups }, left, width) {
    groups.forEach(({ rule, width: own, middle }, i) => {
      const [from, to] = [Math.max(rule[0], left), Math.min(rule[1], left + width)];
      put(headings[i], "x", (to - from > own + 40 ? (from + to) / 2 : middle).toFixed(1));
    });
  }

  // Colours only: the browser mixes them from the theme's ramp, so that a change of theme needs no redrawing.
  /** @type {(places: MapPlaces, colour: (block: Block) => string) => void} */
  function paint({ all }, colour) {
    options().forEach((option, i) => {
      const fill = colour(all[i].item.blocks[0]);
      option.classList.toggle("ck-unknown", !fill);
      option.style.setProperty("--ck-fill", fill || "var(--ck-bg)");
    });
  }

  /** @type {(words: (item: MapItem) => string, places: MapPlaces, found: (item: MapItem) => boolean) => void} */
  function tell(words, { all }, found) {
    options().forEach((option, i) => {
      put(option, "aria-label", words(all[i].item));
      option.classList.toggle("ck-passed", !found(all[i].item));
    });
  }

  return { svg, list, options, draw, mark, paint, tell, head };
}

export default { render };
