// @ts-check
// How far each head looks: a dot a head, a stroke for their mean, dotted where attention would be even.

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [380, 132, 30, 20, 8];

// Steps of 1, 2 or 5 that make three to six lines.
function ticks(/** @type {number} */ low, /** @type {number} */ high) {
  const rough = (high - low) / 4 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough;
  const first = Math.floor(low / step);
  return Array.from({ length: Math.ceil(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

function render() {
  const drawing = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "ck-attention-distance", "aria-hidden": "true" });
  const words = h("ul", { class: "ck-hidden" });
  const head = h("div", { class: "ck-attention-head" }, h("h4", { text: "How far it looks" }), h("span", { class: "ck-soft ck-small", text: "px, a dot a head; dotted: everywhere alike" }));
  const node = h("section", {}, head, drawing, words);

  function update(/** @type {ShownAttention} */ shown) {
    const known = shown.layers.map((layer, index) => ({ ...layer, index })).filter((layer) => layer.apart.length);
    node.hidden = !known.length;
    if (!known.length) return;
    const values = known.flatMap((layer) => [...layer.apart, layer.even]);
    const lines = ticks(Math.min(...values), Math.max(...values));
    const [low, high] = [lines[0], lines[lines.length - 1]];
    const y = (/** @type {number} */ value) => TOP + (1 - (value - low) / (high - low || 1)) * (HEIGHT - BOTTOM - TOP);
    drawing.replaceChildren(
      ...lines.flatMap((value) => [
        s("line", { x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value), class: "ck-line" }),
        s("text", { x: LEFT - 6, y: y(value) + 3, "text-anchor": "end" }, figure(value)),
      ]),
      ...known.flatMap((layer, i) => column(shown, layer, LEFT + ((i + 0.5) * (WIDTH - LEFT)) / known.length, (WIDTH - LEFT) / known.length, y)),
    );
    follow(words, known, (layer) => layer.name, () => {
      const line = h("li");
      return { node: line, update: (layer) => say(line, spoken(layer)) };
    });
  }

  /** @type {(shown: ShownAttention, layer: ShownAttention["layers"][0] & { index: number }, x: number, width: number, y: (value: number) => number) => SVGElement[]} */
  function column(shown, layer, x, width, y) {
    const own = layer.index === shown.layer;
    const [mean, count] = [average(layer.apart), layer.apart.length];
    const across = (/** @type {number} */ i) => x + (count > 1 ? (i / (count - 1) - 0.5) * width * 0.5 : 0);
    const line = (/** @type {number} */ value, /** @type {number} */ part, /** @type {string} */ name) =>
      s("line", { x1: x - width * part, x2: x + width * part, y1: y(value), y2: y(value), class: name });
    const chosen = (/** @type {number} */ i) => own && (i === shown.head || shown.head < 0);
    return [
      line(layer.even, 0.5, "ck-even"),
      line(mean, 0.32, "ck-mean"),
      ...layer.apart.map((value, i) =>
        s("circle", { cx: across(i), cy: y(value), r: chosen(i) ? 3.5 : 2.6, class: chosen(i) ? "ck-on" : "" }),
      ),
      s("text", { x, y: HEIGHT - 4, "text-anchor": "middle", class: own ? "ck-on" : "" }, String(layer.index)),
    ];
  }

  const average = (/** @type {number[]} */ values) => values.reduce((sum, value) => sum + value, 0) / values.length;

  const spoken = (/** @type {{ name: string, apart: number[], even: number }} */ layer) =>
    `${layer.name}: heads look ${layer.apart.map(figure).join(", ")} px far, ${figure(average(layer.apart))} px on average; evenly it would be ${figure(layer.even)} px`;

  return { node, update };
}

export default { render };
