// @ts-check
// One value of a layer, calculated: window × kernel = products, their sum, and what follows.

const READABLE = 4.5; // contrast of text

/** @typedef {{ text: string, fill: string, ink: boolean }} Paint */

const luminance = (/** @type {number[]} */ colour) => {
  const [r, g, b] = colour.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

/** @type {(one: number[], other: number[]) => number} */
function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/**
 * How a value's cell looks among others: ink or paper on its colour, which pales until one of them can be read.
 * @param {Element} el
 */
function brush(el) {
  const [ink, paper] = tokens(el, "--ck-ink", "--ck-bg");
  const colours = signedColours(/** @type {HTMLElement} */ (el));
  return (/** @type {number} */ value, /** @type {number} */ most) => {
    let at = Math.round(127.5 + (127.5 * value) / (most || 1));
    for (;;) {
      const packed = colours[at];
      const fill = [packed & 255, (packed >> 8) & 255, (packed >> 16) & 255];
      const onInk = contrast(fill, ink);
      if (Math.max(onInk, contrast(fill, paper)) >= READABLE || Math.abs(at - 127.5) < 1) {
        return { fill: `rgb(${fill.join(" ")})`, text: onInk >= READABLE ? "var(--ck-ink)" : "var(--ck-bg)" };
      }
      at += at > 127.5 ? -1 : 1;
    }
  };
}

// In a cell there is room for two places.
function short(/** @type {number} */ value) {
  const size = Math.abs(value);
  if (size !== 0 && size < 0.005) return value.toExponential(0).replaceAll("-", "−");
  return (Object.is(value, -0) ? "0" : size >= 1000 ? value.toExponential(1) : value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size === 0 ? 0 : 2)).replace("-", "−");
}

const largest = (/** @type {number[]} */ values) => Math.max(...values.map(Math.abs));

/** @param {Props<PaneTraits>} props */
function render({ model, el }) {
  const title = h("h4", { class: "ck-panel-heading ck-one-title" });
  const note = h("span", { class: "ck-soft ck-small ck-one-note", text: "point at the map, or use its arrow keys" });
  const check = h("span", { class: "ck-chip" });
  const boxes = h("span", { class: "ck-one-boxes" });
  const head = h("div", { class: "ck-one-head" }, title, note, check, boxes);
  const input = picture("ck-one-input", null);
  const output = picture("ck-one-output", point);
  const middle = h("div", { class: "ck-one-middle" });
  const sum = h("span", { class: "ck-one-sum" });
  const total = h("div", { class: "ck-one-total" }, h("div", { class: "ck-cap", text: "sum" }), h("div", { class: "ck-one-sigma" }, sign("Σ"), sum));
  const into = sign("→");
  const line = h("div", { class: "ck-one-line" }, input.node, into, middle, total, sign("→"), output.node);
  const steps = h("div", { class: "ck-one-steps" });
  const macs = h("span", { class: "ck-one-macs ck-soft" });
  const next = h("div", { class: "ck-one-next" }, steps, macs);
  note.id = unique();
  put(output.canvas, "aria-describedby", note.id);
  const words = h("div", { class: "ck-hidden", role: "status" });
  el.classList.add("ck-one");
  el.replaceChildren(head, line, next, words);
  /** @type {any} */
  let one = null; // what is shown
  /** @type {string[]} */
  let asked = []; // places that were asked for, and are not shown yet
  /** @type {{ channel: number, at: number[] }} */
  let latest = { channel: 0, at: [] }; // where one goes on from: the last of them, or what is shown
  let layer = "";
  /** @type {ReturnType<typeof number>[]} */
  let numbers = [];

  function sign(/** @type {string} */ text) {
    return h("span", { class: "ck-one-sign", "aria-hidden": "true", text });
  }

  const named = (/** @type {{ channel: number, at: number[] }} */ { channel, at }) => `${channel} ${at}`;

  /** @type {(channel: number, at: number[]) => void} */
  function ask(channel, at) {
    latest = { channel, at };
    asked.push(named(latest));
    send(model, { type: "layers_at", channel, at });
  }

  // [row, column] of a place on the map of the output, where one axis, or a vector's channels, go on in the next row.
  function cell(/** @type {number} */ width) {
    if (one.sides.length > 1) return latest.at.slice(-2);
    const index = one.sides.length ? latest.at[0] : latest.channel;
    return [Math.floor(index / width), index % width];
  }

  /** @type {(row: number, column: number, width: number) => void} */
  function point(row, column, width) {
    if (one.sides.length > 1) return ask(latest.channel, [...latest.at.slice(0, -2), row, column]);
    const index = row * width + column;
    if (one.sides.length) ask(latest.channel, [clamp(index, 0, one.sides[0] - 1)]);
    else ask(clamp(index, 0, one.channels - 1), []);
  }

  /** @type {(kind: string, act: ((row: number, column: number, width: number) => void) | null) => any} */
  function picture(kind, act) {
    const canvas = h("canvas", { class: "ck-one-map", role: "img", tabindex: act ? "0" : null });
    const mark = h("span", { class: "ck-one-mark", "aria-hidden": "true" });
    const caption = h("div", { class: "ck-cap" });
    const node = h("div", { class: kind }, caption, h("div", { class: "ck-one-frame" }, canvas, mark));
    if (act) {
      canvas.addEventListener("click", (event) => {
        const box = canvas.getBoundingClientRect();
        const place = (/** @type {number} */ from, /** @type {number} */ share, /** @type {number} */ count) => clamp(Math.floor((from / share) * count), 0, count - 1);
        act(place(event.clientY - box.top, box.height, canvas.height), place(event.clientX - box.left, box.width, canvas.width), canvas.width);
      });
      canvas.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (!step) return;
        event.preventDefault();
        const [row, column] = cell(canvas.width);
        act(clamp(row + step[0], 0, canvas.height - 1), clamp(column + step[1], 0, canvas.width - 1), canvas.width);
      });
    }
    return { node, canvas, mark, caption };
  }

  /** @type {(of: any, array: Unpacked | undefined, words: string, place: number[] | null) => void} */
  function paint(of, array, words, place) {
    of.node.hidden = !array;
    if (!array) return;
    const [height, width] = array.shape;
    paintCells(of.canvas, width, height, signedColours(el), signedShare(array));
    of.canvas.style.aspectRatio = `${width} / ${height}`;
    put(of.canvas, "aria-label", words);
    say(of.caption, words);
    of.mark.hidden = !place;
    if (!place) return;
    // the part of the window that lies on the map; the mark is never too small to be seen
    const [top, left, rows, columns] = place;
    const edges = [left / width, top / height, (left + columns) / width, (top + rows) / height].map((edge) => clamp(edge, 0, 1));
    Object.assign(of.mark.style, { left: percent(edges[0]), top: percent(edges[1]), width: percent(edges[2] - edges[0]), height: percent(edges[3] - edges[1]) });
  }

  /** @type {(grid: any, values: number[], words: string) => HTMLElement} */
  function cells(grid, values, words) {
    const colour = brush(el);
    const most = largest(values);
    const all = values.map((value, i) => {
      const cell = h("span", { class: "ck-one-cell", text: short(value), title: figure(value) });
      cell.classList.toggle("ck-outside", grid.outside[i]);
      if (grid.outside[i]) put(cell, "title", "padding");
      else {
        const { fill, text } = colour(value, most);
        Object.assign(cell.style, { background: fill, color: text });
      }
      return cell;
    });
    const box = h("div", { class: "ck-one-cells", role: "group", "aria-label": words }, ...all);
    box.style.gridTemplateColumns = `repeat(${grid.columns}, 46px)`;
    return h("div", {}, h("div", { class: "ck-cap", text: words }), box);
  }

  function grids(/** @type {any} */ grid) {
    const where = one.at.length ? ` at (${one.at.join(", ")})` : "";
    return [
      cells(grid, grid.window, `${one.cells} window${where}`),
      sign("×"),
      cells(grid, grid.kernel, `kernel ${one.channel} of ${one.channels}`),
      sign("="),
      cells(grid, grid.products, "products"),
    ];
  }

  function products() {
    const colour = brush(el);
    const most = largest(one.largest.map((/** @type {any} */ [, , , product]) => product));
    const cell = (/** @type {number} */ value) => h("td", { text: figure(value) });
    const rows = one.largest.map((/** @type {any} */ [where, window, kernel, product]) => {
      const last = cell(product);
      const { fill, text } = colour(product, most);
      Object.assign(last.style, { background: fill, color: text });
      return h("tr", {}, h("th", { scope: "row", text: where }), cell(window), h("td", { "aria-hidden": "true", text: "×" }), cell(kernel), h("td", { "aria-hidden": "true", text: "=" }), last);
    });
    const { others } = one;
    const count = others?.count === 1 ? "and one other" : `and ${others?.count} others`;
    const rest = others ? [h("tr", { class: "ck-soft" }, h("th", { scope: "row", colspan: "5", text: count }), cell(others.sum))] : [];
    const names = [["where"], ["window"], [""], ["kernel"], [""], ["product"]].map(([name]) => (name ? h("th", { scope: "col", text: name }) : h("td")));
    const what = one.deep > 1 ? `${one.deep} channels × ${one.cells}` : one.cells;
    return [h("div", {}, h("div", { class: "ck-cap", text: `${what}: the largest products` }), h("table", { class: "ck-one-products" }, h("thead", {}, h("tr", {}, ...names)), h("tbody", {}, ...rows, ...rest)))];
  }

  /** @type {(label: string, count: number, act: (value: number) => void) => { box: HTMLInputElement, write: (value: number) => void }} */
  function number(label, count, act) {
    let shown = "";
    const box = h("input", { type: "number", class: "ck-input ck-one-number", "aria-label": label, min: "0", max: String(count - 1), title: `0 to ${count - 1}` });
    box.addEventListener("change", () => {
      shown = box.value;
      if (shown.trim() !== "") act(clamp(Math.round(Number(shown)), 0, count - 1));
    });
    const write = (/** @type {number} */ value) => {
      if (box === focused(el) && box.value !== shown) return; // somebody is typing
      box.value = shown = String(value);
    };
    return { box, write };
  }

  // The boxes stay while their layer does, so that one can go on typing.
  function write() {
    const now = `${one.name} ${one.channels} ${one.sides}`;
    if (now !== layer) {
      layer = now;
      asked = [];
      const places = one.sides.map((/** @type {number} */ side, /** @type {number} */ i) =>
        number(one.axes[i], side, (value) => ask(latest.channel, latest.at.map((old, j) => (j === i ? value : old)))),
      );
      numbers = [number("channel", one.channels, (value) => ask(value, latest.at)), ...places];
      const [channel, ...others] = numbers.map(({ box }) => box);
      const label = (/** @type {string} */ text) => h("span", { class: "ck-soft", text });
      boxes.replaceChildren(label("channel"), channel, label(`of ${one.channels}`), ...(others.length ? [label("at"), ...others] : []));
    }
    asked.splice(0, asked.lastIndexOf(named(one)) + 1); // the newest is always answered, those before it need not be
    if (!asked.length) latest = { channel: one.channel, at: one.at };
    [latest.channel, ...latest.at].forEach((value, i) => numbers[i].write(value));
  }

  function follows() {
    const step = (/** @type {{ name: string, how: string, value: number }} */ now, /** @type {number} */ i) => {
      const before = figure(i ? one.steps[i - 1].value : one.sum);
      const how = /^[×+−]/.test(now.how) ? `${before} ${now.how} = ` : now.how ? `${now.how}: ` : "";
      return h("span", {}, h("b", { text: now.name }), ` ${how}`, h("b", { class: "ck-one-value", text: figure(now.value) }));
    };
    const list = one.steps.map(step);
    const bias = one.bias ? h("span", { class: "ck-soft", text: `the bias ${figure(one.bias)} is in the sum` }) : null;
    steps.replaceChildren(...[bias, list.length ? h("span", { class: "ck-soft", text: "then" }) : null, ...list].filter((node) => node !== null));
    say(macs, one.macs);
    next.hidden = !steps.firstChild && !one.macs;
  }

  return {
    node: el,
    /** @type {(now: any, arrays: Unpacked[]) => void} */
    update(now, arrays) {
      one = now;
      say(title, `One value of ${one.name}, calculated`);
      say(check, one.agrees ? `✓ ${one.check}` : one.check);
      put(check, "class", `ck-chip ${one.agrees ? "ck-chip-trained" : "ck-chip-off"}`);
      put(check, "title", one.within);
      write();
      middle.replaceChildren(...(one.grid ? grids(one.grid) : products()));
      say(sum, figure(one.sum));
      const shown = [...arrays];
      into.hidden = !one.input;
      paint(input, one.input ? shown.shift() : undefined, `input, channel ${one.input?.channel}`, one.input?.window ?? null);
      const what = one.sides.length === 0 ? `output, ${one.channels} channels` : `output, channel ${one.channel}`;
      paint(output, shown.shift(), what, [...one.output.at, 1, 1]);
      follows();
      say(words, one.words);
    },
  };
}

export default { render };
