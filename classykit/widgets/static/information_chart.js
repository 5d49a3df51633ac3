// @ts-check
// What is read off each block, against what it costs until there: a curve beside its controls.

const [PLOT_WIDTH, PLOT_HEIGHT] = [560, 330];
const EDGE = { left: 46, right: 546, top: 34, bottom: 282 };
const LETTER = 6.3; // pixels, about, of a letter in a label

const share = (/** @type {number} */ value, digits = 1) => `${(100 * value).toFixed(digits)}\u00a0%`;
const give = (/** @type {number} */ value, /** @type {number | null} */ spread) =>
  (100 * value).toFixed(1) + (spread !== null ? `\u00a0±\u00a0${(100 * spread).toFixed(1)}` : "");

/** @type {(point: Probed, answer: Answer) => string} */
function inWords([name, so_far, own, spread, random, other], answer) {
  const where = answer.known ? `, after ${figure(so_far / answer.unit)} ${answer.letter}${answer.letter && " "}MACs` : "";
  const control = random === undefined ? "" : `; random weights ${give(random, other ?? null)}\u00a0%`;
  return `${name}: ${give(own, spread)}\u00a0%${where}${control}`;
}

/** @type {(most: number, parts: number) => number} */
function niceStep(most, parts) {
  const rough = most / parts || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((n) => n * power >= rough) ?? 10);
}

/**
 * `choose` is called with the block that is chosen, `point` with the one that is pointed at, "" for none.
 * @type {typeof information_chart.render}
 */
function render({ choose, point }) {
  const back = s("g", { "aria-hidden": "true" });
  const front = s("g", { "aria-hidden": "true", class: "ck-info-labels" });
  const list = s("g", { role: "listbox", "aria-label": "Accuracy by block" });
  const node = s("svg", { class: "ck-info-chart", viewBox: `0 0 ${PLOT_WIDTH} ${PLOT_HEIGHT}` }, back, list, front);
  /** @type {Answer | null} */
  let now = null;
  let chosen = "";
  let pointed = "";
  let most = 1;

  const xOf = (/** @type {number} */ value) => EDGE.left + (value / most) * (EDGE.right - EDGE.left);
  const yOf = (/** @type {number} */ value) =>
    EDGE.bottom - ((value - (now?.low ?? 0)) / (1 - (now?.low ?? 0))) * (EDGE.bottom - EDGE.top);
  const options = () => /** @type {SVGElement[]} */ ([...list.children]);
  const index = (/** @type {string} */ name) => (now?.points ?? []).findIndex((item) => item[0] === name);

  function move(/** @type {string} */ name) {
    pointed = name;
    point(name);
    mark();
  }

  function nearest(/** @type {MouseEvent} */ event) {
    const box = node.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top].map((at) => (at * PLOT_WIDTH) / box.width);
    const far = (/** @type {Probed} */ item) => Math.abs(xOf(item[1]) - x) + 0.3 * Math.abs(yOf(item[2]) - y);
    return [...(now?.points ?? [])].sort((a, b) => far(a) - far(b))[0]?.[0] ?? "";
  }

  node.addEventListener("pointermove", (event) => move(nearest(event)));
  node.addEventListener("pointerleave", () => move(""));
  node.addEventListener("click", (event) => {
    const at = event.target instanceof Element ? options().findIndex((option) => option.contains(/** @type {Element} */ (event.target))) : -1;
    choose(at >= 0 && now ? now.points[at][0] : nearest(event));
  });
  list.addEventListener("focusin", (event) => move(now?.points[options().findIndex((option) => option === event.target)]?.[0] ?? ""));
  list.addEventListener("focusout", () => move(""));
  list.addEventListener("keydown", (event) => {
    const at = options().findIndex((option) => option === event.target);
    const last = options().length - 1;
    const to = { ArrowRight: at + 1, ArrowUp: at + 1, ArrowLeft: at - 1, ArrowDown: at - 1, Home: 0, End: last }[event.key];
    if (to !== undefined) focus(clamp(to, 0, last));
    else if (event.key === "Enter" || event.key === " ") choose(now?.points[at][0] ?? "");
    else if (event.key === "Escape" && index(chosen) >= 0) focus(index(chosen));
    else return;
    event.preventDefault();
  });

  function focus(/** @type {number} */ at) {
    options().forEach((option, i) => put(option, "tabindex", i === at ? "0" : "-1"));
    options()[at].focus({ preventScroll: true });
  }

  function mark() {
    const at = index(chosen);
    const first = Math.max(at, 0);
    const focusedAt = options().findIndex((option) => option === focused(node));
    options().forEach((option, i) => {
      put(option, "aria-selected", i === at ? "true" : "false");
      put(option, "tabindex", i === (focusedAt < 0 ? first : focusedAt) ? "0" : "-1");
      option.classList.toggle("ck-pointed", now?.points[i][0] === pointed);
    });
  }

  function createPoint() {
    const hit = s("circle", { class: "ck-info-hit", r: 12 });
    const stem = s("path", { class: "ck-info-stem" });
    const other = s("path", { class: "ck-info-stem ck-info-random" });
    const hollow = s("circle", { class: "ck-info-dot ck-info-random", r: 3 });
    const dot = s("circle", { class: "ck-info-dot", r: 4 });
    const whisker = (/** @type {number} */ x, /** @type {number} */ mid, /** @type {number | null} */ spread) => {
      if (!spread) return "M0 0";
      const [low, high] = [yOf(Math.max(mid - spread, now?.low ?? 0)), yOf(Math.min(mid + spread, 1))];
      return `M${x} ${low}V${high}M${x - 3} ${low}h6M${x - 3} ${high}h6`;
    };
    return {
      node: s("g", { role: "option", class: "ck-info-point" }, hit, other, hollow, stem, dot),
      /** @type {(point: Probed) => void} */
      update([, so_far, own, spread, random, randomSpread]) {
        const x = xOf(so_far);
        for (const circle of [hit, dot]) (put(circle, "cx", x), put(circle, "cy", yOf(own)));
        put(stem, "d", whisker(x, own, spread));
        put(hollow, "cx", x);
        put(hollow, "cy", yOf(random ?? 0));
        put(hollow, "visibility", random === undefined ? "hidden" : null);
        put(other, "d", random === undefined ? "M0 0" : whisker(x, random, randomSpread ?? null));
      },
    };
  }

  /** @type {(answer: Answer) => SVGElement[]} */
  function axes(answer) {
    const nodes = [];
    const step = 1 - answer.low > 0.6 ? 0.2 : 0.1;
    for (let at = Math.ceil(answer.low / step - 1e-6) * step; at < 1.001; at += step) {
      nodes.push(s("path", { class: "ck-info-grid", d: `M${EDGE.left} ${yOf(at)}H${EDGE.right}` }));
      nodes.push(s("text", { x: EDGE.left - 7, y: yOf(at) + 4, "text-anchor": "end", text: share(at, 0) }));
    }
    const wide = niceStep(most / answer.unit, 5);
    for (let at = 0; at * answer.unit <= most; at += wide) {
      nodes.push(s("text", { x: xOf(at * answer.unit), y: EDGE.bottom + 17, "text-anchor": "middle", text: figure(at) }));
    }
    nodes.push(s("text", { x: (EDGE.left + EDGE.right) / 2, y: EDGE.bottom + 38, "text-anchor": "middle", text: answer.x }));
    nodes.push(s("text", { x: 0, y: 12, text: "accuracy" }));
    return nodes;
  }

  /** @type {(name: string, places: [number, number][]) => SVGElement} */
  const line = (name, places) => s("path", { class: `ck-info-line ${name}`, d: places.map(([x, y], i) => `${i ? "L" : "M"}${x} ${y}`).join("") });

  function draw(/** @type {Answer} */ answer, /** @type {string} */ block) {
    now = answer;
    chosen = block;
    most = Math.max(...answer.points.map((item) => item[1]), 1) * 1.02;
    /** @type {(column: number) => [number, number][]} */
    const curve = (column) =>
      answer.points.filter((item) => item[column] !== undefined).map((item) => [xOf(item[1]), yOf(Number(item[column]))]);
    const [own, random] = [curve(2), curve(4)];
    /** @type {[string, number | null][]} */
    const levels = [["ck-info-chance", answer.chance], ["ck-info-pixels", answer.pixels]];
    const flat = levels.filter(([, value]) => value !== null).map(([name, value]) => {
      const y = yOf(Number(value));
      return line(name, [[EDGE.left, y], [EDGE.right, y]]);
    });
    back.replaceChildren(...axes(answer), ...flat, line("ck-info-random", random), line("", own));
    follow(list, answer.points, (item) => item[0], createPoint);
    options().forEach((option, i) => put(option, "aria-label", inWords(answer.points[i], answer)));
    front.replaceChildren(...labels(answer, block, own, random, xOf, yOf));
    mark();
  }

  return { node, draw, give, words: inWords };
}

/**
 * Labels in the places, of those that suit each, where they cover least of the curves and of each other.
 * @type {(answer: Answer, block: string, own: [number, number][], random: [number, number][],
 *   xOf: (value: number) => number, yOf: (value: number) => number) => SVGElement[]}
 */
function labels(answer, block, own, random, xOf, yOf) {
  const between = (/** @type {[number, number][]} */ curve) =>
    curve.flatMap(([x, y], i) => Array.from({ length: 10 }, (_, n) => {
      const [nextX, nextY] = curve[i + 1] ?? [x, y];
      return [x + ((nextX - x) * n) / 10, y + ((nextY - y) * n) / 10];
    }));
  const filled = [...between(own), ...between(random)];
  for (const level of [answer.pixels, answer.chance]) {
    if (level !== null) for (let x = EDGE.left; x < EDGE.right; x += 8) filled.push([x, yOf(level)]);
  }

  /** @type {(text: string, name: string, places: number[][]) => SVGElement} */
  function label(text, name, places) {
    const half = (text.length * LETTER) / 2;
    const cost = (/** @type {number[]} */ [x, y]) => {
      const outside = x - half < EDGE.left || x + half > EDGE.right + 8 || y < 12 || y > EDGE.bottom - 2;
      return (outside ? 1000 : 0) + filled.filter(([px, py]) => Math.abs(px - x) < half + 4 && py > y - 13 && py < y + 5).length;
    };
    const [x, y] = places.reduce((best, place) => (cost(place) < cost(best) ? place : best));
    for (let at = x - half; at <= x + half; at += 6) filled.push([at, y - 8], [at, y], [at, y - 4]);
    return s("text", { class: name, x, y, "text-anchor": "middle", text });
  }

  const around = (/** @type {[number, number][]} */ curve) => curve.flatMap(([x, y]) => [[x, y - 12], [x, y + 21], [x + 50, y + 4], [x - 50, y + 4], [x, y + 34], [x, y - 26]]);
  const along = (/** @type {string} */ text, /** @type {number} */ level) => {
    const half = (text.length * LETTER) / 2 + 6;
    return [EDGE.left + half, EDGE.right - half, (EDGE.left + EDGE.right) / 2].flatMap((x) => [[x, yOf(level) - 6], [x, yOf(level) + 14]]);
  };
  const nodes = [];
  const item = answer.points.find((one) => one[0] === block);
  if (item) {
    const text = `${block} ${share(item[2])}`;
    const x = clamp(xOf(item[1]), EDGE.left + text.length * 3.3, EDGE.right - text.length * 3.3);
    nodes.push(label(text, "ck-info-chosen", [10, 18, 26].flatMap((away) => [[x, yOf(item[2]) - away], [x, yOf(item[2]) + away + 11]])));
  }
  if (answer.pixels !== null) {
    const text = `raw pixels ${share(answer.pixels, 0)}`;
    nodes.push(label(text, "ck-info-pixels", along(text, answer.pixels)));
  }
  const chance = `chance ${share(answer.chance, 0)}`;
  nodes.push(label(chance, "ck-info-chance", along(chance, answer.chance)));
  if (random.length) nodes.push(label("random weights", "ck-info-random", around(random)));
  if (own.length) nodes.push(label(answer.weights, "ck-info-own", around(own)));
  return nodes;
}

export default { render };
