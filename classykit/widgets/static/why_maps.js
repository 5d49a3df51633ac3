// @ts-check
// The evidence itself: large over the picture for the chosen block, and small for every depth.

const MOST = 0.86; // of the picture that the strongest colour hides
const GAMMA = 1.25; // weak values leave the picture to be seen
const AWAY = 0.35; // how far the picture goes towards the page's own ground
const [LARGE, THUMB] = [448, 84]; // heights in pixels

/** @typedef {{ image: HTMLImageElement, dark: boolean, tints: [number, number, number][] }} Scenery */

/**
 * The picture in grey, lightened on a light page and dimmed on a dark one, as RGBA.
 * @param {Scenery} scenery
 * @param {number} width
 * @param {number} height
 */
function ground({ image, dark }, width, height) {
  const pen = h("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
  if (!pen) return new Uint8ClampedArray(4 * width * height);
  pen.drawImage(image, 0, 0, width, height);
  const pixels = pen.getImageData(0, 0, width, height).data;
  for (let i = 0; i < pixels.length; i += 4) {
    const grey = 0.299 * pixels[i] + 0.587 * pixels[i + 1] + 0.114 * pixels[i + 2];
    for (let c = i; c < i + 3; c++) {
      const seen = 0.1 * pixels[c] + 0.9 * grey;
      pixels[c] = (1 - AWAY) * seen + (dark ? 0 : 255 * AWAY);
    }
  }
  return pixels;
}

// Between which two cells each pixel lies, and how far it is from the first to the second.
function between(/** @type {number} */ pixels, /** @type {number} */ cells) {
  return Array.from({ length: pixels }, (_, i) => {
    const at = clamp(((i + 0.5) / pixels) * cells - 0.5, 0, cells - 1);
    const first = Math.floor(at);
    return { first, second: Math.min(first + 1, cells - 1), part: at - first };
  });
}

/**
 * Lays a map over the greyed picture: blue below zero, orange above, the more of it the stronger.
 * @param {HTMLCanvasElement} canvas
 * @param {Scenery} scenery
 * @param {Unpacked} map
 * @param {number} most the value of the strongest colour
 * @param {number} tall in pixels
 */
function layOver(canvas, scenery, map, most, tall) {
  const width = Math.round((tall * scenery.image.naturalWidth) / scenery.image.naturalHeight);
  canvas.width = width;
  canvas.height = tall;
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const pixels = ground(scenery, width, tall);
  const [rows, columns] = map.shape;
  const across = between(width, columns);
  between(tall, rows).forEach((down, y) => {
    const [top, bottom] = [down.first * columns, down.second * columns];
    across.forEach(({ first, second, part }, x) => {
      const above = map.at(top + first) * (1 - part) + map.at(top + second) * part;
      const below = map.at(bottom + first) * (1 - part) + map.at(bottom + second) * part;
      const value = (above * (1 - down.part) + below * down.part) / most;
      const alpha = MOST * Math.min(1, Math.abs(value)) ** GAMMA;
      const tint = scenery.tints[value < 0 ? 0 : 1];
      const at = 4 * (y * width + x);
      for (let c = 0; c < 3; c++) pixels[at + c] = pixels[at + c] * (1 - alpha) + tint[c] * alpha;
    });
  });
  const whole = pen.createImageData(width, tall);
  whole.data.set(pixels);
  pen.putImageData(whole, 0, 0);
}

// The cells of a map alone, in signed colours.
/** @type {(canvas: HTMLCanvasElement, map: Unpacked, most: number) => void} */
function cellsAlone(canvas, map, most) {
  const [rows, columns] = map.shape;
  paintCells(canvas, columns, rows, signedColours(canvas), (i) => 0.5 + map.at(i) / (2 * most));
}

const largest = (/** @type {Unpacked} */ map) => Math.max(Math.abs(map.low), Math.abs(map.high)) || 1;

/** @param {ViewProps<PaneTraits>} props the strip of all depths is drawn in `tools` */
function render({ model, el, tools: strip, picture }) {
  /** @type {{ pane: any, maps: Unpacked[], at: number } | null} */
  let drawn = null;
  /** @type {[number, number] | null} */
  let chosen = null; // the position [x, y] that was clicked
  /** @type {[number, number] | null} */
  let pointed = null; // where the keyboard is
  let alone = false;
  let shared = false;

  const photo = h("img");
  const readout = h("div", { class: "ck-why-read", id: unique(), "aria-live": "polite" });
  const canvas = h("canvas", { class: "ck-why-canvas", role: "img", tabindex: "0", "aria-describedby": readout.id });
  const cell = h("span", { class: "ck-why-cell", hidden: true });
  const ends = h("div", { class: "ck-why-ends" });
  const node = h(
    "div",
    {},
    h("div", { class: "ck-why-frame" }, canvas, cell),
    readout,
    h("div", { class: "ck-why-ramp", "aria-hidden": "true" }),
    ends,
  );
  const thumbs = h("div", { class: "ck-why-thumbs", role: "radiogroup", "aria-label": "Evidence at every depth" });
  el.replaceChildren(node);
  strip.replaceChildren(thumbs);

  /** @returns {Scenery | null} */
  function scenery() {
    if (!photo.complete || !photo.naturalWidth) return null;
    const [[r, g, b], ...tints] = tokens(el, "--ck-bg", "--ck-ramp-high", "--ck-accent");
    return { image: photo, dark: r + g + b < 384, tints };
  }

  // The value of the strongest colour: the map's own, or that of all maps which are as exact as it.
  function most(/** @type {number} */ index) {
    if (!drawn) return 1;
    const { maps, pane } = drawn;
    if (!shared) return largest(maps[index]);
    const alike = maps.filter((_, i) => pane.thumbs[i].exact === pane.thumbs[index].exact);
    return Math.max(...alike.map(largest));
  }

  function paint(/** @type {HTMLCanvasElement} */ on, /** @type {number} */ index, /** @type {number} */ tall) {
    if (!drawn) return;
    const around = scenery();
    if (around && !(alone && on === canvas)) layOver(on, around, drawn.maps[index], most(index), tall);
    else cellsAlone(on, drawn.maps[index], most(index));
  }

  function draw() {
    if (!drawn) return;
    const [rows, columns] = drawn.maps[drawn.at].shape;
    const around = scenery();
    paint(canvas, drawn.at, LARGE);
    canvas.style.imageRendering = around && !alone ? "auto" : "pixelated";
    canvas.style.aspectRatio = around ? `${around.image.naturalWidth} / ${around.image.naturalHeight}` : `${columns} / ${rows}`;
    [...thumbs.querySelectorAll("canvas")].forEach((small, i) => paint(small, i, THUMB));
    const end = figure(most(drawn.at));
    ends.replaceChildren(h("span", { text: `−${end} against` }), h("span", { text: "0" }), h("span", { text: `for ${end}` }));
  }

  /** @type {(x: number, y: number) => void} */
  function describe(x, y) {
    if (!drawn) return;
    const map = drawn.maps[drawn.at];
    const [rows, columns] = map.shape;
    const value = map.at(y * columns + x);
    let rank = 1;
    for (let i = 0; i < rows * columns; i++) if (map.at(i) > value) rank += 1;
    const count = rows * columns;
    const place = rank === 1 ? "the strongest of" : rank === count ? "the last of" : `number ${rank} of`;
    readout.replaceChildren(
      h("span", { text: `at (${x}, ${y})` }),
      h("b", { text: figure(value) }),
      h("span", { class: "ck-soft", text: `${place} ${count} positions` }),
    );
    cell.hidden = false;
    cell.style.left = `${(100 * x) / columns}%`;
    cell.style.top = `${(100 * y) / rows}%`;
    cell.style.width = `max(${100 / columns}%, 5px)`;
    cell.style.height = `max(${100 / rows}%, 5px)`;
    if (!hidden()) picture.point({ x, y, width: columns, height: rows, field: null });
  }

  /** @returns {[number, number]} */
  function strongest() {
    if (!drawn) return [0, 0];
    const map = drawn.maps[drawn.at];
    let best = 0;
    for (let i = 1; i < map.numbers.length; i++) if (map.numbers[i] > map.numbers[best]) best = i;
    return [best % map.shape[1], Math.floor(best / map.shape[1])];
  }

  const hidden = () => el.closest("[hidden]") !== null;
  const rest = () => describe(...(pointed ?? chosen ?? strongest()));

  /** @type {(event: PointerEvent | MouseEvent) => [number, number]} */
  function under(event) {
    const [rows, columns] = drawn?.maps[drawn.at].shape ?? [1, 1];
    const box = canvas.getBoundingClientRect();
    return [
      clamp(Math.floor(((event.clientX - box.left) / box.width) * columns), 0, columns - 1),
      clamp(Math.floor(((event.clientY - box.top) / box.height) * rows), 0, rows - 1),
    ];
  }

  function choose(/** @type {[number, number]} */ at) {
    chosen = at;
    describe(...at);
    send(model, { type: "why_position", x: at[0], y: at[1] });
  }

  canvas.addEventListener("pointermove", (event) => describe(...under(event)));
  canvas.addEventListener("pointerleave", rest);
  canvas.addEventListener("click", (event) => choose(under(event)));
  canvas.addEventListener("blur", () => {
    pointed = null;
    rest();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    const [x, y] = pointed ?? chosen ?? strongest();
    const [rows, columns] = drawn?.maps[drawn.at].shape ?? [1, 1];
    if (step) {
      pointed = [clamp(x + step[0], 0, columns - 1), clamp(y + step[1], 0, rows - 1)];
      describe(...pointed);
    } else if (event.key === "Enter" || event.key === " ") {
      choose([x, y]);
    } else if (event.key === "Escape" && pointed) {
      pointed = null;
      rest();
    } else {
      return;
    }
    event.preventDefault();
  });

  /** @typedef {{ name: string, label: string, exact: boolean }} Thumb */
  /** @type {(thumb: Thumb) => Follower<Thumb>} */
  function createThumb({ name }) {
    const small = h("canvas", { "aria-hidden": "true" });
    const label = h("span", { class: "ck-channel" });
    const button = h("button", { type: "button", role: "radio", class: "ck-why-thumb", title: name }, small, label);
    button.addEventListener("click", () => send(model, { type: "select", block: name }));
    return {
      node: button,
      update(now) {
        const on = name === drawn?.pane.block;
        say(label, `${now.exact ? "=" : "≈"} ${now.label}`);
        put(button, "aria-label", `${name}, ${now.exact ? "exact" : "approximate"}`);
        put(button, "aria-checked", on ? "true" : "false");
        put(button, "tabindex", on ? "0" : "-1");
      },
    };
  }

  thumbs.addEventListener("keydown", (event) => {
    const all = /** @type {HTMLElement[]} */ ([...thumbs.children]);
    const at = all.indexOf(/** @type {HTMLElement} */ (focused(el)));
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined) return;
    all[clamp(to, 0, all.length - 1)].focus();
    event.preventDefault();
  });

  photo.addEventListener("load", draw);
  const theme = onTheme(draw);
  return {
    /** @param {any} pane @param {boolean} mapAlone @param {boolean} oneScale */
    update(pane, mapAlone, oneScale) {
      const maps = pane.places ? unpack(pane.arrays, model.get("pane_pixels")) : [];
      if (!maps) return; // its pixels are still under way
      thumbs.style.maxWidth = `${72 * maps.length}px`;
      const before = drawn?.pane;
      if (before?.block !== pane.block || before?.title !== pane.title) pointed = null;
      drawn = pane.places ? { pane, maps, at: pane.thumbs.findIndex((/** @type {any} */ t) => t.name === pane.block) } : null;
      [chosen, alone, shared] = [pane.at, mapAlone, oneScale];
      node.hidden = !drawn;
      follow(thumbs, pane.thumbs, (/** @type {Thumb} */ thumb) => thumb.name, createThumb);
      const source = pane.frame === null ? model.get("picture") : model.get("frames")?.[pane.frame];
      put(photo, "src", source?.startsWith("data:image/") ? source : null);
      if (!drawn) {
        if (!hidden()) picture.point(null);
        return;
      }
      put(canvas, "aria-label", `${pane.title} at ${pane.block}, ${drawn.maps[drawn.at].shape.join(" × ")} positions`);
      draw();
      rest();
    },
    stop: theme,
  };
}

export default { render };
