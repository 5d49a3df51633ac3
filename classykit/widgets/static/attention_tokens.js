// @ts-check
// The tokens of each layer as colours; pointing at one leaves those that are most like it.

const NEAREST = 5;
const FADED = 0.25;

/** @param {{ model: Model<PaneTraits> }} props */
function render({ model }) {
  /** @type {ShownAttention | null} */
  let now = null;
  const list = h("div", { class: "ck-attention-tokens", role: "group", "aria-label": "Tokens as colours" });
  const words = h("div", { class: "ck-soft ck-small", role: "status" });
  const head = h("div", { class: "ck-attention-head" }, h("h4", { text: "Tokens as colours" }), h("span", { class: "ck-soft ck-small", text: "like colour, like content" }));
  const node = h("section", {}, head, list, words);

  /** The places most like one, itself left out. @returns {number[]} */
  function nearest(/** @type {ShownAttention} */ of, /** @type {number} */ place) {
    const count = of.likeness.shape[0];
    const likeness = (/** @type {number} */ other) => of.likeness.at(place * count + other);
    const others = Array.from({ length: count }, (_, i) => i).filter((i) => i !== place);
    return others.sort((a, b) => likeness(b) - likeness(a)).slice(0, NEAREST);
  }

  const isLarge = (/** @type {ShownAttention} */ of) => of.likeness.shape[0] === 0;

  /** @type {(of: ShownAttention, index: number, place: number | null) => void} */
  function describe(of, index, place) {
    if (place === null || isLarge(of)) return say(words, "");
    const [, , columns] = of.colours[index].shape;
    const at = (/** @type {number} */ i) => `(${Math.floor(i / columns)}, ${i % columns})`;
    const count = of.likeness.shape[0];
    const like = nearest(of, place).map((i) => `${at(i)} ${figure(of.likeness.at(place * count + i))}`);
    say(words, `most like ${at(place)}: ${like.join(", ")}`);
  }

  // The chosen patch, where the tokens lie on the same grid as those that attend.
  /** @type {(of: ShownAttention, index: number) => number | null} */
  function chosenPlace(of, index) {
    const [, rows, columns] = of.colours[index].shape;
    return of.row >= 0 && rows === of.query_rows && columns === of.query_columns ? of.row * columns + of.column : null;
  }

  /** @type {(canvas: HTMLCanvasElement, colours: Unpacked, bright: Set<number> | null) => void} */
  function paint(canvas, colours, bright) {
    const [, height, width] = colours.shape;
    const context = canvas.getContext("2d");
    if (!context) return;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const image = context.createImageData(width, height);
    for (let i = 0; i < width * height; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = 255 * colours.at(c * width * height + i);
      image.data[4 * i + 3] = 255 * (!bright || bright.has(i) ? 1 : FADED);
    }
    context.putImageData(image, 0, 0);
    canvas.style.aspectRatio = `${width} / ${height}`;
  }

  function createPicture() {
    const canvas = h("canvas", { "aria-hidden": "true" });
    const label = h("span");
    let index = 0;
    const button = h("button", { type: "button", class: "ck-attention-token" }, canvas, label);
    const isChosen = () => now !== null && now.tokens[index].block === now.block;
    button.addEventListener("click", () => now && send(model, { type: "attention_cell", layer: now.tokens[index].layer, head: now.head }));
    canvas.addEventListener("pointermove", (event) => {
      if (!now || !isChosen() || isLarge(now)) return;
      const area = canvas.getBoundingClientRect();
      const [, rows, columns] = now.colours[index].shape;
      const row = clamp(Math.floor(((event.clientY - area.top) / area.height) * rows), 0, rows - 1);
      const column = clamp(Math.floor(((event.clientX - area.left) / area.width) * columns), 0, columns - 1);
      const place = row * columns + column;
      paint(canvas, now.colours[index], new Set([place, ...nearest(now, place)]));
      describe(now, index, place);
    });
    canvas.addEventListener("pointerleave", () => {
      if (!now || !isChosen()) return;
      paint(canvas, now.colours[index], null);
      describe(now, index, chosenPlace(now, index));
    });
    return {
      node: button,
      update(/** @type {{ block: string, layer: number }} */ item, /** @type {number} */ i) {
        if (!now) return;
        index = i;
        say(label, item.layer);
        put(button, "title", item.block);
        put(button, "aria-label", `${item.block} as colours`);
        put(button, "aria-pressed", isChosen() ? "true" : "false");
        paint(canvas, now.colours[i], null);
      },
    };
  }

  return {
    node,
    update(/** @type {ShownAttention} */ shown) {
      now = shown;
      node.hidden = !shown.tokens.length;
      follow(list, shown.tokens, (item) => item.block, createPicture);
      const index = shown.tokens.findIndex((item) => item.block === shown.block);
      if (index < 0) say(words, "");
      else describe(shown, index, chosenPlace(shown, index));
    },
  };
}

export default { render };
