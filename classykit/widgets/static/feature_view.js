// @ts-check
// A picture or a clip goes in, and what the chosen block makes of it comes out: one small map a channel.

const LARGEST = 6e6; // bytes; a larger picture is made smaller before it travels, as notebook servers drop big messages
const SIDE = 2048;
const PACE = 160; // milliseconds a frame when a clip plays

const ORDERS = ["variance", "mean", "index"].map((id) => ({ id, label: id }));
const SCALES = [
  { id: "map", label: "each map" },
  { id: "shared", label: "shared" },
];

// A number in three significant digits, with a real minus sign.
function figure(/** @type {number} */ value) {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(Number(value.toPrecision(3)));
  return text.replace("-", "−");
}

// The bytes trait as numbers; an odd offset needs a copy.
function words(/** @type {DataView | null} */ pixels) {
  if (!pixels) return new Uint16Array(0);
  const { buffer, byteOffset: start, byteLength } = pixels;
  const count = Math.floor(byteLength / 2);
  return start % 2 ? new Uint16Array(buffer.slice(start, start + count * 2)) : new Uint16Array(buffer, start, count);
}

async function readPicture(/** @type {File} */ file) {
  if (file.size <= LARGEST) return file.arrayBuffer();
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = h("canvas", { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  /** @type {Blob | null} */
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
  if (!blob) throw new Error("no picture");
  return blob.arrayBuffer();
}

// A column whose cells are all figures is aligned to the right.
const isFigure = (/** @type {string} */ text) => /^$|^[–—-]$|^[-−]?[\d.,]+(\s?[%a-zA-Zµ/]{1,6})?$/.test(text.trim());

// Where in a clip one is: a slider over its frames, and a button that plays them. What plays is not sent, where it
// stops is.
function timeline(/** @type {Model<FeatureTraits>} */ model) {
  let timer = 0;
  const sign = s("path", { fill: "currentColor" });
  const button = h(
    "button",
    { type: "button", class: "ck-icon ck-play", on: { click: () => (timer ? stop() : play()) } },
    s("svg", { viewBox: "0 0 10 10", width: 10, height: 10, "aria-hidden": "true" }, sign),
  );
  const slider = h("input", { type: "range", class: "ck-slider", min: "0", step: "1" });
  const words = h("span", { class: "ck-soft ck-small", "aria-hidden": "true" });
  const step = h("div", { class: "ck-soft ck-small", "aria-hidden": "true" });
  const node = h("div", { class: "ck-timeline" }, h("div", { class: "ck-time" }, button, slider, words), step);

  const steps = () => model.get("state")?.features?.steps ?? 1;
  const frames = () => model.get("frames") ?? [];
  const moments = () => Math.max(frames().length, steps());
  const now = () => clamp(model.get("frame") ?? 0, 0, moments() - 1);
  // Which of so many frames or time steps belongs to the moment.
  const of = (/** @type {number} */ count) => Math.floor((now() * count) / moments());

  slider.addEventListener("input", () => {
    stop();
    go(Number(slider.value));
  });
  slider.addEventListener("keydown", (event) => {
    // To the first moment of the next time step, or the one before: a block may have fewer than the clip has frames.
    const turn = event.key === "PageUp" ? 1 : event.key === "PageDown" ? -1 : 0;
    if (!turn) return;
    stop();
    go(clamp(Math.ceil(((of(steps()) + turn) * moments()) / steps()), 0, moments() - 1));
    event.preventDefault();
  });

  function go(/** @type {number} */ moment) {
    model.set("frame", moment);
    model.save_changes();
  }

  function play() {
    timer = setInterval(() => model.set("frame", (now() + 1) % moments()), PACE);
    update();
  }

  function stop() {
    if (!timer) return;
    clearInterval(timer);
    timer = 0;
    update();
    model.save_changes();
  }

  function update() {
    const count = moments();
    node.hidden = count < 2;
    if (timer && node.hidden) stop();
    put(sign, "d", timer ? "M1 0h3v10h-3zM6 0h3v10h-3z" : "M1 0l9 5l-9 5z");
    put(button, "aria-label", timer ? "Pause" : "Play");
    put(button, "title", timer ? "Pause" : "Play");
    const what = frames().length ? "Frame" : "Time step";
    put(slider, "aria-label", what);
    put(slider, "max", count - 1);
    slider.value = String(now());
    const time = model.get("state")?.features?.times?.[of(steps())];
    put(slider, "aria-valuetext", [`${what.toLowerCase()} ${now() + 1} of ${count}`, time].filter(Boolean).join(", "));
    say(words, `${now() + 1} / ${count}`);
    say(step, time);
  }

  return { node, update, stop, frame: () => frames()[of(frames().length)], step: () => of(steps()) };
}

/**
 * Left: the picture or clip, the button that runs the model, and what the model says.
 * @param {Model<FeatureTraits>} model
 * @param {ReturnType<typeof timeline>} time
 * @param {(file: File) => void} onUpload
 */
function pictureColumn(model, time, onUpload) {
  const source = () => model.get("source") ?? {};
  const select = choice("Picture", (name) => send(model, { type: "image", name }), { hideLabel: true });
  const file = h("input", { type: "file", accept: "image/*", class: "ck-file", "aria-label": "Upload a picture" });
  const upload = h("label", { class: "ck-button ck-upload", title: "Upload a picture, or drop one on the picture" }, file, h("span", { "aria-hidden": "true", text: "Upload" }));
  const choose = h("div", { class: "ck-picture-choice" }, select.node, upload);
  const given = h("div", { class: "ck-soft ck-small" });
  const image = h("img", { class: "ck-picture", draggable: "false" });
  const square = h("span", { class: "ck-square", hidden: true });
  const frame = h("div", { class: "ck-picture-frame" }, image, square);
  const readout = h("div", { class: "ck-readout ck-soft", id: unique() });
  const button = h("button", { type: "button", class: "ck-button ck-primary" });
  const runText = h("span", { class: "ck-soft ck-small" });
  const guesses = h("div", { class: "ck-rows" });
  const title = h("h4", { class: "ck-guess-title" });
  const section = h("section", {}, title, guesses);

  button.addEventListener("click", () => {
    if (!model.get("busy")) send(model, { type: "run" });
  });
  file.addEventListener("change", () => {
    if (file.files?.length) onUpload(file.files[0]);
    file.value = ""; // so that the same file can be chosen again
  });
  const over = (/** @type {boolean} */ on) => (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    event.stopPropagation();
    frame.classList.toggle("ck-over", on);
  };
  frame.addEventListener("dragenter", over(true));
  frame.addEventListener("dragover", over(true));
  frame.addEventListener("dragleave", over(false));
  frame.addEventListener("drop", (event) => {
    over(false)(event);
    const dropped = event.dataTransfer?.files[0];
    if (dropped) onUpload(dropped);
  });

  const node = h(
    "div",
    { class: "ck-picture-column" },
    choose,
    given,
    frame,
    time.node,
    readout,
    h("div", { class: "ck-run" }, button, runText),
    section,
  );

  function update() {
    const now = source();
    select.update((now.images ?? []).map((item) => ({ id: item.name, label: item.label })), now.image);
    put(select.select, "aria-label", now.clip ? "Clip" : "Picture");
    upload.hidden = Boolean(now.clip); // files are pictures
    choose.hidden = frame.hidden = Boolean(now.example); // what it is called with was given
    say(given, now.example ? `example: ${now.example}` : "");
    given.hidden = !now.example;
    show();
    const busy = Boolean(model.get("busy"));
    say(button, busy ? "Running…" : "Run");
    put(button, "aria-disabled", busy ? "true" : null);
    put(button, "aria-busy", busy ? "true" : null);
    say(runText, now.run_text);
    const list = now.predictions ?? [];
    section.hidden = !list.length;
    say(title, now.prediction_title);
    follow(
      guesses,
      list.map((item, rank) => ({ ...item, rank })),
      (item) => String(item.rank),
      () => row(),
    );
  }

  function show() {
    const now = source();
    const picture = (now.clip ? time.frame() : model.get("picture")) ?? "";
    const shown = picture.startsWith("data:image/") ? picture : null;
    put(image, "src", shown);
    put(image, "alt", shown ? `the ${now.clip ? "clip" : "picture"}: ${now.image || "yours"}` : "");
    image.hidden = !shown;
  }

  /**
   * What one unit sees of the picture, or the cell that lies under it; never so small that one cannot see it.
   * @param {{ x: number, y: number, width: number, height: number, field: Window2d | null } | null} at
   */
  function point(at) {
    square.hidden = !at;
    if (!at) return;
    const [top, height] = span(at.y, at.height, at.field, 0);
    const [left, width] = span(at.x, at.width, at.field, 1);
    square.style.left = `${100 * (left + width / 2)}%`;
    square.style.top = `${100 * (top + height / 2)}%`;
    square.style.width = `max(${100 * width}%, 6px)`;
    square.style.height = `max(${100 * height}%, 6px)`;
  }

  /**
   * [start, length] along an axis of the picture, as parts of it; what lies in the padding is cut off.
   * @type {(position: number, positions: number, field: Window2d | null, axis: number) => [number, number]}
   */
  function span(position, positions, field, axis) {
    if (!field) return [position / positions, 1 / positions];
    const extent = field.image[axis];
    const start = field.offset[axis] + position * field.stride[axis];
    const from = clamp(start, 0, extent);
    return [from / extent, (clamp(start + field.size[axis], from, extent) - from) / extent];
  }

  return { node, readout, update, show, point };
}

/**
 * Right: the maps, as the block's channels see the picture.
 * @param {Model<FeatureTraits>} model
 * @param {ReturnType<typeof pictureColumn>} picture
 * @param {ReturnType<typeof timeline>} time
 */
function featureGrid(model, picture, time) {
  /** @type {{ features: Maps, numbers: Uint16Array } | null} */
  let drawn = null; // the features and the numbers on the screen
  /** @type {{ block: string | undefined, channel: number, x: number, y: number } | null} */
  let chosen = null;
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
  const head = h("div", { class: "ck-grid-head" }, heading, size, chip, pager);
  const hint = h("p", { class: "ck-hint ck-soft" });
  const node = h("div", { class: "ck-maps" }, head, grid, hint);

  const state = () => model.get("state") ?? {};
  const features = () => state().features ?? null;
  const canvases = () => [...grid.querySelectorAll("canvas")];

  function target(/** @type {number} */ step) {
    const { offset, page_size, channels } = features() ?? { offset: 0, page_size: 24, channels: 0 };
    const next = Math.max(0, offset + step * page_size);
    return next === offset || next >= channels ? null : next;
  }

  // Where the numbers of a map begin, at the time step that is shown.
  /** @type {(features: Maps, index: number) => number} */
  const startOf = ({ width, height, steps }, index) => (index * steps + time.step()) * width * height;

  // A vector comes as one map with its values in rows, the last of which need not be full.
  const isVector = () => drawn?.features.kind === "vector";

  /** @type {(index: number, x: number, y: number) => void} */
  function describe(index, x, y) {
    if (!drawn) return;
    pointed = [index, x, y];
    const { maps, width, height, field, values } = drawn.features;
    const part = drawn.numbers[startOf(drawn.features, index) + y * width + x] / 65535;
    const value = `value ${figure(maps[index].low + part * (maps[index].high - maps[index].low))}`;
    if (isVector()) {
      picture.point(null);
      const place = y * width + x;
      return say(picture.readout, place < values ? `feature ${place} · ${value}` : "");
    }
    const place = width * height === 1 ? "" : height === 1 ? ` at ${x}` : ` at (${x}, ${y})`;
    const onPicture = height > 1; // a strip has no places on the picture
    const seen = onPicture && field ? "\nthe square is what this unit sees" : "";
    say(picture.readout, `channel ${maps[index].channel}${place} · ${value}${seen}`);
    picture.point(onPicture ? { x, y, width, height, field } : null);
  }

  /** @type {(shown: { features: Maps, numbers: Uint16Array }, index: number) => [number, number]} */
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
    const canvas = h("canvas", { role: "img", "aria-describedby": picture.readout.id });
    const label = h("span", { class: "ck-channel" });
    let index = 0;
    /** @type {(event: PointerEvent | MouseEvent) => [number, number]} */
    const unit = (event) => {
      const { width, height } = drawn?.features ?? { width: 1, height: 1 };
      const box = canvas.getBoundingClientRect();
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
      describe(index, x, y);
    };
    canvas.addEventListener("pointermove", (event) => drawn && describe(index, ...unit(event)));
    canvas.addEventListener("pointerleave", rest);
    canvas.addEventListener("click", (event) => drawn && choose(unit(event)));
    canvas.addEventListener("focus", () => drawn && canvas.matches(":focus-visible") && describe(index, ...strongest(drawn, index)));
    canvas.addEventListener("blur", rest);
    canvas.addEventListener("keydown", (event) => {
      if (!drawn) return;
      const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
      /** @type {Record<string, number>} */
      const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -Infinity, End: Infinity };
      if (event.key in steps) {
        const all = canvases();
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
      node: h("div", { class: "ck-map-cell" }, canvas, label),
      update(/** @type {ShownMap} */ map, /** @type {number} */ i) {
        index = i;
        put(canvas, "aria-label", isVector() ? `${drawn?.features.values} values` : `channel ${map.channel}`);
        say(label, isVector() ? "" : map.channel);
        paint(canvas, i);
      },
    };
  }

  /** @type {(canvas: HTMLCanvasElement, index: number) => void} */
  function paint(canvas, index) {
    const context = canvas.getContext("2d");
    if (!drawn || !context) return;
    const { width, height, values } = drawn.features;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const image = context.createImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    const from = startOf(drawn.features, index);
    const end = isVector() ? values : out.length;
    for (let i = 0; i < end; i++) out[i] = VIRIDIS[drawn.numbers[from + i] >> 8];
    context.putImageData(image, 0, 0);
    canvas.style.aspectRatio = `${width} / ${height}`;
    // Small maps show their cells; large ones are drawn smaller than they are, where leaving cells out would flicker.
    canvas.style.imageRendering = width > 80 ? "auto" : "pixelated";
  }

  function mark() {
    canvases().forEach((canvas, i) => {
      const on = chosen?.block === state().block && drawn?.features.maps[i].channel === chosen?.channel;
      canvas.parentElement?.classList.toggle("ck-chosen", on);
      put(canvas, "tabindex", i === reach ? "0" : "-1");
    });
  }

  function update() {
    const now = features();
    const numbers = words(model.get("pixels"));
    // State and numbers may arrive one after the other: nothing is drawn before both belong together.
    const whole = now?.maps.length && numbers.length === now.maps.length * now.steps * now.height * now.width;
    if (now?.maps.length && !whole && drawn) return;
    drawn = whole ? { features: now, numbers } : null;
    head.hidden = grid.hidden = !drawn;
    say(hint, drawn ? "" : state().hint);
    hint.hidden = Boolean(drawn) || !hint.textContent;
    chip.hidden = !state().untrained;
    if (drawn) {
      const { maps, channels, width, height, values, offset, page_size } = drawn.features;
      say(heading, state().block);
      const strip = drawn.features.kind === "sequence" ? "steps" : "tokens";
      const shape = height === 1 ? (width === 1 ? "" : `${width} ${strip}`) : `${width} × ${height}`;
      say(size, isVector() ? `${values} values` : shape);
      grid.classList.toggle("ck-strips", !isVector() && width > 8 * height);
      grid.classList.toggle("ck-single", isVector());
      pager.hidden = channels <= page_size;
      say(range, `${offset + 1}–${offset + maps.length} of ${channels}`);
      put(before, "aria-disabled", target(-1) === null ? "true" : null);
      put(after, "aria-disabled", target(1) === null ? "true" : null);
      reach = clamp(reach, 0, maps.length - 1);
      follow(
        grid,
        maps,
        (map) => `${state().block}/${map.channel}`,
        createMap,
      );
      mark();
    }
    rest();
  }

  // Another moment of the same maps.
  function show() {
    if (!drawn) return;
    canvases().forEach(paint);
    if (pointed) describe(...pointed);
  }

  return { node, update, show };
}

// Every block in figures.
function blockTable(/** @type {Model<FeatureTraits>} */ model) {
  const head = h("tr");
  const body = h("tbody");
  const table = h("table", { class: "ck-table" }, h("thead", {}, head), body);
  const node = h("div", { class: "ck-table-box" }, table);
  const state = () => model.get("state") ?? {};
  /** @type {string | undefined} */
  let seen; // the block whose row was brought into sight

  /** @typedef {{ id: string, text: string, right: boolean }} Cell */
  /** @type {(tag: "td" | "th", props?: Record<string, string>) => Follower<Cell>} */
  function createCell(tag, props) {
    const cell = h(tag, props);
    return {
      node: cell,
      update({ text, right }) {
        say(cell, text);
        cell.classList.toggle("ck-right", right);
      },
    };
  }

  function createRow() {
    let name = "";
    // A button, so that the keyboard reaches what a click anywhere on the row does.
    const button = h("button", { type: "button", class: "ck-row-name" });
    const first = { node: h("th", { scope: "row" }, button), update: (/** @type {Cell} */ cell) => say(button, cell.text) };
    const row = h("tr", {});
    row.addEventListener("click", () => send(model, { type: "select", block: name }));
    return {
      node: row,
      update(/** @type {Cell[]} */ cells) {
        name = cells[0].text;
        follow(row, cells, (cell) => cell.id, (cell) => (cell.id === "0" ? first : createCell("td")));
        put(row, "aria-current", name === state().block ? "true" : null);
      },
    };
  }

  function update() {
    const { columns = [], rows = [] } = model.get("table") ?? {};
    const right = columns.map((_, i) => i > 0 && rows.some((row) => row[i]) && rows.every((row) => isFigure(row[i])));
    const cells = (/** @type {string[]} */ row) => row.map((text, i) => ({ id: String(i), text, right: right[i] }));
    follow(head, cells(columns), (cell) => cell.id, () => createCell("th", { scope: "col" }));
    follow(body, rows.map(cells), (row) => row[0].text, createRow);
    reveal();
  }

  // Brings a newly chosen row into sight, moving the table alone and only as far as it takes.
  function reveal() {
    const row = /** @type {HTMLElement | null} */ (body.querySelector("[aria-current]"));
    if (!node.clientHeight || seen === state().block || !row) return;
    seen = state().block;
    const top = row.offsetTop - head.offsetHeight;
    if (top < node.scrollTop) node.scrollTop = top;
    else node.scrollTop = Math.max(node.scrollTop, row.offsetTop + row.offsetHeight - node.clientHeight);
  }

  return { node, update, reveal };
}

/** @typedef {"features" | "blocks"} Tab */
/** @param {Props<FeatureTraits>} props */
function render({ model, el }) {
  dress(el, "ck-features");
  /** @type {Tab} */
  let tab = "features";

  const time = timeline(model);
  const picture = pictureColumn(model, time, upload);
  const maps = featureGrid(model, picture, time);
  const table = blockTable(model);

  const panels = {
    features: h("div", { class: "ck-tab-panel", role: "tabpanel", id: unique(), "aria-label": "Features" }, picture.node, maps.node),
    blocks: h("div", { class: "ck-tab-panel ck-tab-blocks", role: "tabpanel", id: unique(), "aria-label": "Blocks" }, table.node),
  };
  const tabOf = (/** @type {Tab} */ id, /** @type {string} */ text) =>
    h("button", { type: "button", role: "tab", class: "ck-tab", text, "aria-controls": panels[id].id, on: { click: () => show(id) } });
  const tabs = { features: tabOf("features", "Features"), blocks: tabOf("blocks", "Blocks") };
  const ids = /** @type {Tab[]} */ (Object.keys(tabs));
  const tabList = h("div", { class: "ck-tabs", role: "tablist", "aria-label": "What to see" }, tabs.features, tabs.blocks);
  const order = choice("sort", (id) => send(model, { type: "order", order: id }));
  const scale = choice("scale", (id) => send(model, { type: "scale", scale: id }));
  const count = h("span", { class: "ck-soft" });
  const tools = h("div", { class: "ck-tools" }, order.node, scale.node, count);
  el.replaceChildren(h("div", { class: "ck-toolbar" }, tabList, tools), panels.features, panels.blocks);

  tabList.addEventListener("keydown", (event) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const there = ids.filter((id) => !tabs[id].hidden);
    const next = there[(there.indexOf(tab) + step + there.length) % there.length];
    show(next);
    tabs[next].focus();
    event.preventDefault();
  });

  function show(/** @type {Tab} */ id) {
    tab = id;
    for (const name of ids) {
      const button = tabs[name];
      put(button, "aria-selected", name === tab ? "true" : "false");
      put(button, "tabindex", name === tab ? "0" : "-1");
      panels[name].hidden = name !== tab;
    }
    table.reveal();
    const { features } = model.get("state") ?? {};
    // One map has no order, and no scale to share.
    tools.hidden = tab !== "features" || !features || features.kind === "vector";
  }

  async function upload(/** @type {File} */ file) {
    try {
      send(model, { type: "upload", name: file.name }, [await readPicture(file)]);
    } catch {
      say(picture.readout, `${file.name} could not be read as a picture.`);
    }
  }

  function update() {
    const { features } = model.get("state") ?? {};
    time.update();
    picture.update();
    maps.update();
    table.update();
    if (features) {
      order.update(ORDERS, features.order);
      scale.update(SCALES, features.scale);
      say(count, `${features.channels} ${features.channels === 1 ? "channel" : "channels"}`);
    }
    tabs.blocks.hidden = !model.get("table")?.rows?.length;
    show(tabs.blocks.hidden ? "features" : tab);
  }

  function move() {
    time.update();
    picture.show();
    maps.show();
  }

  update();
  const stops = [watch(model, ["state", "pixels", "source", "picture", "table", "frames", "busy"], update), watch(model, ["frame"], move), time.stop];
  return () => stops.forEach((stop) => stop());
}

export default { render };
