// @ts-check
// The picture, lit by what one patch attends to; one points at the patch, or moves to it by arrow keys.

const REST = 150; // milliseconds after which a place that was moved to by keys is the chosen one
const DIM = 0.38; // of its brightness that is left of what nobody looks at

/** @typedef {{ row: number, column: number }} Place of row -1 are the tokens before the patches, by number */

/** "the class token", but "register 1". */
const called = (/** @type {string} */ name) => (name.endsWith("token") ? `the ${name}` : name);
const share = (/** @type {number} */ value) => `${Number((100 * value).toPrecision(2))}\u00a0%`;

/** @param {{ model: Model<PaneTraits>, picture: PictureColumn }} props */
function render({ model, picture }) {
  /** @type {ShownAttention | null} */
  let now = null;
  /** @type {Place} */
  let at = { row: -1, column: 0 };
  /** @type {{ source: string, data: ImageData } | null} */
  let seen = null; // the picture's pixels
  let timer = 0;

  const from = h("div", { class: "ck-segments", role: "group", "aria-label": "Attention from" });
  const heading = h("h4", { text: "Attention from" });
  const first = h("div");
  const second = h("div", { class: "ck-soft" });
  const words = h("div", { class: "ck-attention-words", id: unique(), role: "status" }, first, second);
  const canvas = h("canvas", { tabindex: "0", role: "img", "aria-describedby": words.id });
  const frame = h("span", { class: "ck-square" });
  const box = h("div", { class: "ck-attention-picture" }, canvas, frame);
  const node = h("section", { class: "ck-attention-stage" }, h("div", { class: "ck-attention-head" }, heading, from), box, words);

  const isPlace = () => at.row >= 0;
  const middle = () => ({ row: Math.floor((now?.query_rows ?? 1) / 2), column: Math.floor((now?.query_columns ?? 1) / 2) });
  const chosen = () => ({ row: now?.row ?? -1, column: now?.column ?? 0 });


  const PATCH = "a patch";
  const queries = (/** @type {ShownAttention} */ of) => [...(of.query_rows ? [PATCH] : []), ...of.query_before];

  /** @type {(name: string) => Follower<string>} */
  const query = (name) => ({
    node: h("button", { type: "button", text: name, on: { click: () => commit(name === PATCH ? middle() : { row: -1, column: now?.query_before.indexOf(name) ?? 0 }) } }),
  });

  /** Which window a query is in, and which of its queries it is. @returns {[number, number]} */
  function numberOf(/** @type {ShownAttention} */ of) {
    if (!of.whole) return [0, 0];
    if (!isPlace()) return [0, at.column];
    const place = at.row * of.query_columns + at.column;
    if (!of.places.numbers.length) return [0, of.query_before.length + place];
    const length = of.places.shape[1];
    for (let i = 0; i < of.places.numbers.length; i++) {
      if (Math.round(of.places.at(i)) === place) return [Math.floor(i / length), i % length];
    }
    return [0, 0];
  }

  /** @returns {Attended} */
  function attended(/** @type {ShownAttention} */ of) {
    const cells = new Float32Array(of.rows * of.columns);
    const [, queries, keys] = of.matrix.shape;
    const [window, query] = numberOf(of);
    const start = (window * queries + query) * keys;
    /** @type {number[]} */
    const before = [];
    const windows = of.places.numbers.length > 0;
    const within = windows ? new Uint8Array(cells.length) : null;
    const strip = of.rows === 1 && of.columns === keys; // no grid: every key is a cell
    const prefix = windows || strip ? 0 : of.prefix;
    // of a matrix that is too large to send, only the chosen query's window and row came
    const around = of.whole ? window : windowOf(of);
    for (let i = 0; i < keys; i++) {
      const value = of.matrix.at(start + i);
      const place = windows ? Math.round(of.places.at(around * keys + i)) : i - prefix;
      if (place < 0) before.push(value);
      else cells[place] = value;
      if (within) within[place] = 1;
    }
    return { cells, before, within };
  }

  function windowOf(/** @type {ShownAttention} */ of) {
    return of.places.numbers.length ? numberOf({ ...of, whole: true })[0] : 0;
  }

  function describe(/** @type {ShownAttention} */ of, /** @type {Attended} */ found) {
    const layer = of.layers[of.layer];
    const which = of.head === -1 ? `mean of ${layer.heads} heads` : of.head === -2 ? "rollout, approximate" : `head ${of.head}`;
    const name = of.head === -2 ? `through ${layer.name}` : layer.name;
    say(first, `${placeName(of, at)}, ${name}, ${which}`);
    const best = found.cells.indexOf(Math.max(...found.cells));
    const where = named(of, Math.floor(best / of.columns), best % of.columns);
    const even = found.within ? `${share(of.even)} of its window` : share(of.even);
    const most = Math.max(...found.before, 0);
    const whose = of.before[found.before.indexOf(most)];
    const before = most > found.cells[best] ? `most at ${called(whose)}, ${share(most)}; of the rest at ` : "most at ";
    second.replaceChildren(`${before}${where}: `, h("b", { text: share(found.cells[best]) }), `, where even would be ${even}`);
  }

  const named = (/** @type {ShownAttention} */ of, /** @type {number} */ row, /** @type {number} */ column) =>
    of.what === "patch" ? `(${row}, ${column})` : String(column);

  const placeName = (/** @type {ShownAttention} */ of, /** @type {Place} */ place) =>
    place.row >= 0 ? `${of.what} ${named(of, place.row, place.column)}` : of.query_before[place.column];

  function paint(/** @type {ShownAttention} */ of, /** @type {Attended} */ found) {
    const most = Math.max(...found.cells) || 1;
    if (!seen || of.what !== "patch") {
      paintCells(canvas, of.columns, of.rows, VIRIDIS, (i) => found.cells[i] / most);
      return;
    }
    const { width, height, data } = seen.data;
    const context = canvas.getContext("2d");
    if (!context) return;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const image = context.createImageData(width, height);
    const out = image.data;
    for (let y = 0, i = 0; y < height; y++) {
      const line = Math.floor((y * of.rows) / height) * of.columns;
      for (let x = 0; x < width; x++, i += 4) {
        const light = found.cells[line + Math.floor((x * of.columns) / width)] / most;
        const grey = DIM * (1 - light) * (0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]);
        for (let c = 0; c < 3; c++) out[i + c] = grey + light * data[i + c];
        out[i + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
    if (found.within) outline(context, of, found.within, width / of.columns, height / of.rows);
  }

  // A thin frame around a window, wherever it lies: it may go on at the other side.
  /** @type {(pen: CanvasRenderingContext2D, of: ShownAttention, within: Uint8Array, width: number, height: number) => void} */
  function outline(pen, of, within, width, height) {
    const holds = (/** @type {number} */ row, /** @type {number} */ column) =>
      row >= 0 && column >= 0 && row < of.rows && column < of.columns && within[row * of.columns + column] === 1;
    pen.beginPath();
    for (let row = 0; row < of.rows; row++) {
      for (let column = 0; column < of.columns; column++) {
        if (!holds(row, column)) continue;
        const [left, top, right, bottom] = [column * width, row * height, (column + 1) * width, (row + 1) * height];
        if (!holds(row - 1, column)) pen.moveTo(left, top), pen.lineTo(right, top);
        if (!holds(row + 1, column)) pen.moveTo(left, bottom), pen.lineTo(right, bottom);
        if (!holds(row, column - 1)) pen.moveTo(left, top), pen.lineTo(left, bottom);
        if (!holds(row, column + 1)) pen.moveTo(right, top), pen.lineTo(right, bottom);
      }
    }
    pen.strokeStyle = "#fff";
    pen.lineWidth = 1.5;
    pen.stroke();
  }

  function draw() {
    if (!now) return;
    const found = attended(now);
    paint(now, found);
    describe(now, found);
    mark(now);
  }

  function mark(/** @type {ShownAttention} */ of) {
    const { query_rows: rows, query_columns: columns } = of;
    const placed = isPlace() && rows > 0;
    frame.hidden = !placed;
    frame.style.left = `${(100 * (at.column + 0.5)) / columns}%`;
    frame.style.top = `${(100 * (at.row + 0.5)) / rows}%`;
    frame.style.width = `max(${100 / columns}%, 8px)`;
    frame.style.height = `max(${100 / rows}%, 8px)`;
    picture.point(placed && of.what === "patch" ? { x: at.column, y: at.row, width: columns, height: rows, field: null } : null);
    const pressed = placed ? PATCH : of.query_before[at.column];
    for (const button of from.children) put(button, "aria-pressed", button.textContent === pressed ? "true" : "false");
  }

  // The picture as pixels, once it is there; an older one that comes late is let be.
  function see(/** @type {string} */ source) {
    if (seen?.source === source) return;
    seen = null;
    if (!source.startsWith("data:image/")) return;
    const image = new Image();
    image.onload = () => {
      const { naturalWidth: width, naturalHeight: height } = image;
      const pen = h("canvas", { width, height }).getContext("2d", { willReadFrequently: true });
      if (!pen || model.get("picture") !== source) return;
      pen.drawImage(image, 0, 0);
      seen = { source, data: pen.getImageData(0, 0, width, height) };
      draw();
    };
    image.src = source;
  }

  /** @type {(event: PointerEvent | MouseEvent) => Place} */
  function under(event) {
    const area = canvas.getBoundingClientRect();
    const { query_rows: rows, query_columns: columns } = /** @type {ShownAttention} */ (now);
    return {
      row: clamp(Math.floor(((event.clientY - area.top) / area.height) * rows), 0, rows - 1),
      column: clamp(Math.floor(((event.clientX - area.left) / area.width) * columns), 0, columns - 1),
    };
  }

  // What a place attends to, where that has come with the layer; else only where it is, until Python has answered.
  function preview() {
    if (now?.whole) draw();
    else if (now) mark(now);
  }

  const hovers = () => now !== null && now.whole && now.query_rows > 0;

  function commit(/** @type {Place} */ place) {
    clearTimeout(timer);
    timer = 0;
    if (place.row < 0) send(model, { type: "attention_token", token: place.column });
    else send(model, { type: "attention_place", ...place });
    at = place;
    preview();
  }

  canvas.addEventListener("pointermove", (event) => {
    if (!hovers()) return;
    at = under(event);
    draw();
  });
  canvas.addEventListener("pointerleave", () => {
    if (timer) return;
    at = chosen();
    draw();
  });
  canvas.addEventListener("click", (event) => now?.query_rows && commit(under(event)));
  canvas.addEventListener("keydown", (event) => {
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [0, 0];
    if (!now?.query_rows || (!down && !right)) return;
    event.preventDefault();
    const { row, column } = isPlace() ? at : middle();
    const moved = { row: clamp(row + down, 0, now.query_rows - 1), column: clamp(column + right, 0, now.query_columns - 1) };
    at = moved;
    preview();
    clearTimeout(timer);
    timer = setTimeout(() => commit(moved), REST);
  });

  return {
    node,
    update(/** @type {ShownAttention} */ shown) {
      now = shown;
      if (!timer || !shown.whole) at = chosen();
      see(model.get("picture") ?? "");
      const reachable = shown.query_rows > 0;
      const names = queries(shown);
      follow(from, names, (name) => name, query);
      from.hidden = names.length < 2;
      say(heading, from.hidden ? `Attention from ${called(names[0] ?? "")}` : "Attention from");
      put(canvas, "aria-label", "what is attended to");
      canvas.classList.toggle("ck-cells", shown.what !== "patch");
      canvas.style.aspectRatio = shown.what === "patch" ? "" : `${shown.columns} / ${Math.max(shown.rows, shown.columns / 12)}`;
      const how = shown.whole ? "Point at" : "Click";
      say(picture.readout, reachable ? `${how} a ${shown.what}, or use the arrow keys.` : "");
      draw();
    },
  };
}

export default { render };
