// @ts-check
// One map, enlarged: in signed colours or viridis, on the picture where one likes, with its values as a histogram.

const SIDE = 300; // pixels on the screen
const BINS = 48;
const COLOURS = ["signed", "viridis"].map((id) => ({ id, label: id }));
const COVER = 0.86; // how much of the picture the strongest value hides at most
const STEPS = /** @type {Record<string, [number, number]>} */ ({
  ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1],
  PageDown: [0, 8], PageUp: [0, -8], Home: [-Infinity, 0], End: [Infinity, 0],
}); // prettier-ignore

// Where a value stands among the others, in words.
function standing(/** @type {Uint16Array} */ numbers, /** @type {number} */ index) {
  let below = 0;
  let above = 0;
  for (const number of numbers) {
    if (number < numbers[index]) below += 1;
    else if (number > numbers[index]) above += 1;
  }
  if (!above) return below ? "the highest of the map" : "the same everywhere";
  if (!below) return "the lowest of the map";
  const share = (100 * below) / numbers.length;
  return `higher than ${share.toFixed(share < 1 || share > 99 ? 1 : 0)} % of the map`;
}

/**
 * @param {{ picture: PictureColumn, onChoose: (x: number, y: number) => void }} props
 * @returns {UnitMap}
 */
function render({ picture, onChoose }) {
  /** @type {UnitShown | null} */
  let now = null;
  let [x, y] = [0, 0]; // the position that is chosen
  let [over, signed] = [false, true];

  const onPicture = toggle((on) => ((over = on), paint()));
  const colours = choice("colours", (id) => ((signed = id === "signed"), paint()));
  const image = h("img", { class: "ck-unit-under", alt: "", draggable: "false" });
  const canvas = h("canvas", { class: "ck-unit-map", role: "img", tabindex: "0", id: unique() });
  const mark = h("span", { class: "ck-unit-mark" });
  const stage = h("div", { class: "ck-unit-stage" }, image, canvas, mark);
  const [where, value, rank] = [h("span"), h("b"), h("span", { class: "ck-soft" })];
  const words = h("div", { class: "ck-unit-words", id: unique() }, where, " ", value, " ", rank);
  const spoken = h("span", { class: "ck-hidden", "aria-live": "polite" });
  const histogram = h("canvas", { class: "ck-unit-histogram", width: 2 * SIDE, height: 72, role: "img" });
  const ramp = h("canvas", { class: "ck-unit-ramp", "aria-hidden": "true" });
  const stroke = h("span", { class: "ck-unit-stroke" });
  const ticks = h("div", { class: "ck-unit-ticks ck-soft", "aria-hidden": "true" });
  const scale = h("div", { class: "ck-unit-scale" }, histogram, ramp, stroke);
  const lead = h("div", { class: "ck-lead" }, h("h4", { class: "ck-title", text: "Its map" }), onPicture.node, colours.node);
  put(canvas, "aria-describedby", words.id);
  const node = h("section", {}, lead, stage, words, spoken, scale, ticks);

  // The ends of the colours: as far below zero as above, or from the lowest value to the highest.
  function ends(/** @type {UnitShown} */ of) {
    const most = Math.max(Math.abs(of.low), Math.abs(of.high)) || 1;
    return signed ? [-most, most] : [of.low, of.high > of.low ? of.high : of.low + 1];
  }

  const palette = () => (signed ? signedColours(node) : VIRIDIS);

  function paint() {
    if (!now) return;
    const of = now;
    const [low, high] = ends(of);
    const share = (/** @type {number} */ i) => (of.at(i) - low) / (high - low);
    const behind = over && of.height > 1 ? picture.shown() : "";
    const table = palette();
    paintCells(canvas, of.width, of.height, table, share);
    if (behind) fade(canvas, share);
    put(image, "src", behind || null);
    image.hidden = !behind;
    onPicture.update("on the picture", over);
    onPicture.node.hidden = of.height < 2 || !picture.shown();
    colours.update(COLOURS, signed ? "signed" : "viridis");
    stage.style.aspectRatio = `${of.width} / ${Math.max(of.height, of.width / 8)}`;
    paintScale(of, low, high, table);
    describe(x, y);
  }

  // Weak values let the picture through.
  function fade(/** @type {HTMLCanvasElement} */ on, /** @type {(index: number) => number} */ share) {
    const pen = on.getContext("2d");
    if (!pen) return;
    const cells = pen.getImageData(0, 0, on.width, on.height);
    for (let i = 0; i < on.width * on.height; i++) {
      const strength = signed ? Math.abs(2 * share(i) - 1) : share(i);
      cells.data[4 * i + 3] = Math.round(255 * COVER * clamp(strength, 0, 1) ** 1.25);
    }
    pen.putImageData(cells, 0, 0);
  }

  /** @type {(of: UnitShown, low: number, high: number, table: Uint32Array) => void} */
  function paintScale(of, low, high, table) {
    const counts = new Array(BINS).fill(0);
    for (let i = 0; i < of.numbers.length; i++) counts[clamp(Math.floor(((of.at(i) - low) / (high - low)) * BINS), 0, BINS - 1)] += 1;
    const most = Math.max(...counts);
    const pen = histogram.getContext("2d");
    const [width, height] = [histogram.width / BINS, histogram.height];
    pen?.clearRect(0, 0, histogram.width, height);
    counts.forEach((count, bin) => {
      if (!pen || !count) return;
      const colour = table[Math.round(((bin + 0.5) / BINS) * 255)];
      const tall = Math.max(2, (count / most) * height);
      pen.fillStyle = `rgb(${colour & 255} ${(colour >> 8) & 255} ${(colour >> 16) & 255})`;
      pen.fillRect(bin * width, height - tall, width - 1, tall);
    });
    put(histogram, "aria-label", `histogram of its values, ${figure(of.low)} to ${figure(of.high)}`);
    paintCells(ramp, 256, 1, table, (i) => i / 255);
    const shares = signed ? [0, 0.25, 0.5, 0.75, 1] : [0, 0.5, 1];
    ticks.replaceChildren(...shares.map((part) => h("span", { text: figure(low + part * (high - low)) })));
  }

  // What is said of a position, and where it is marked.
  /** @type {(atX: number, atY: number, aloud?: boolean) => void} */
  function describe(atX, atY, aloud = false) {
    if (!now) return;
    const { width, height, numbers, field } = now;
    const index = atY * width + atX;
    const [low, high] = ends(now);
    say(where, width * height === 1 ? "" : height === 1 ? `at ${atX}` : `at (${atX}, ${atY})`);
    say(value, figure(now.at(index)));
    say(rank, standing(numbers, index));
    if (aloud) say(spoken, words.textContent);
    stroke.style.left = `${100 * clamp((now.at(index) - low) / (high - low), 0, 1)}%`;
    mark.style.left = `${(100 * (atX + 0.5)) / width}%`;
    mark.style.top = `${(100 * (atY + 0.5)) / height}%`;
    mark.style.width = `max(${100 / width}%, 9px)`;
    mark.style.height = `max(${100 / height}%, 9px)`;
    picture.point(height > 1 ? { x: atX, y: atY, width, height, field } : null);
    const seen = height > 1 && field ? "\nthe square is what this unit sees" : "";
    say(picture.readout, [`channel ${now.channel}`, where.textContent, `· value ${value.textContent}`].filter(Boolean).join(" ") + seen);
  }

  /** @type {(event: PointerEvent | MouseEvent) => [number, number]} */
  function place(event) {
    const box = canvas.getBoundingClientRect();
    const { width, height } = now ?? { width: 1, height: 1 };
    return [
      clamp(Math.floor(((event.clientX - box.left) / box.width) * width), 0, width - 1),
      clamp(Math.floor(((event.clientY - box.top) / box.height) * height), 0, height - 1),
    ];
  }

  /** @type {(atX: number, atY: number) => void} */
  function move(atX, atY) {
    if (!now) return;
    [x, y] = [clamp(atX, 0, now.width - 1), clamp(atY, 0, now.height - 1)];
    describe(x, y, true);
    onChoose(x, y);
  }

  canvas.addEventListener("pointermove", (event) => describe(...place(event)));
  canvas.addEventListener("pointerleave", () => describe(x, y));
  canvas.addEventListener("click", (event) => move(...place(event)));
  canvas.addEventListener("keydown", (event) => {
    if (!now || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step) {
      move(x + step[0], y + step[1]);
    } else if (event.key === "Enter" || event.key === " ") {
      const best = now.numbers.reduce((most, number, i, all) => (number > all[most] ? i : most), 0);
      move(best % now.width, Math.floor(best / now.width));
    } else {
      return;
    }
    event.preventDefault();
  });

  return {
    node,
    focus: () => canvas.focus({ preventScroll: true }),
    show(of, at) {
      now = of;
      [x, y] = [clamp(at[0], 0, of.width - 1), clamp(at[1], 0, of.height - 1)];
      put(canvas, "aria-label", `the map of channel ${of.channel}; arrows move in it, Enter goes to its strongest place`);
      paint();
    },
  };
}

export default { render };
