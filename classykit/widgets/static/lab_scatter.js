// @ts-check
// A measure over another, a dot a net: the budget, the best so far, and at the foot what waits for its error.

const HIGH = 300; // pixels
const PLOT = { left: 50, right: 14, top: 26, bottom: 40 };
const REACH = 24; // pixels from a dot within which a click is meant for it
const FLOOR = 0.002; // an error of none has no place on a logarithm
const MARKS = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];
const DIGITS = [1, 2, 3, 5];
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** @param {Props<LabTraits> & { tools: HTMLElement }} props */
function render({ model, el, tools }) {
  const back = s("g", { "aria-hidden": "true" });
  const list = s("g", { role: "listbox", "aria-label": "Nets" });
  const front = s("g", { "aria-hidden": "true", class: "ck-lab-front" });
  const svg = s("svg", { class: "ck-lab-plot" }, back, list, front);
  const readout = h("div", { class: "ck-small ck-soft ck-lab-readout" });
  const legend = h("div", { class: "ck-small ck-soft ck-lab-shades" });
  const hint = h("div", { class: "ck-lab-empty ck-soft" });
  el.classList.add("ck-lab-scatter");
  el.replaceChildren(svg, hint, legend, readout);
  /** @type {[number, number][]} */
  let places = [];
  let width = 0;
  let pointed = -1;

  const options = () => /** @type {SVGElement[]} */ ([...list.children]);
  const choose = (/** @type {number} */ net) => net >= 0 && send(model, { type: "choose", net });

  function point(/** @type {number} */ net) {
    pointed = net;
    const all = model.get("nets");
    say(readout, (all[net] ?? all[model.get("net").number])?.label);
    options().forEach((option, i) => option.classList.toggle("ck-pointed", i === net));
  }

  function nearest(/** @type {MouseEvent} */ event) {
    const box = svg.getBoundingClientRect();
    const far = places.map(([x, y]) => Math.hypot(x - event.clientX + box.left, y - event.clientY + box.top));
    const least = Math.min(...far);
    return least <= REACH ? far.indexOf(least) : -1;
  }

  /** The nearest dot in a direction; what lies aside counts as further. @type {(from: number, way: number[]) => number} */
  function next(from, [dx, dy]) {
    const [x, y] = places[from];
    let best = from;
    let least = Infinity;
    places.forEach(([px, py], i) => {
      const ahead = (px - x) * dx + (py - y) * dy;
      const aside = Math.abs((px - x) * dy) + Math.abs((py - y) * dx);
      if (i !== from && ahead > 0.5 && aside <= 2 * ahead + 24 && ahead + 2 * aside < least) [best, least] = [i, ahead + 2 * aside];
    });
    return best;
  }

  svg.addEventListener("pointermove", (event) => point(nearest(event)));
  svg.addEventListener("pointerleave", () => point(-1));
  svg.addEventListener("click", (event) => choose(nearest(event)));
  // on the element around it: Chrome takes an SVG element that listens to the focus for one that wants it
  el.addEventListener("focusin", (event) => point(options().findIndex((option) => option === event.target)));
  el.addEventListener("focusout", () => point(-1));
  list.addEventListener("keydown", (event) => {
    const at = options().findIndex((option) => option === event.target);
    const way = DIRECTIONS[/** @type {keyof DIRECTIONS} */ (event.key)];
    if (at < 0) return;
    if (way) focus(next(at, way));
    else if (event.key === "Home" || event.key === "End") focus(event.key === "Home" ? 0 : options().length - 1);
    else if (event.key === "Enter" || event.key === " ") choose(at);
    else if (event.key === "Escape") focus(model.get("net").number);
    else return;
    event.preventDefault();
  });

  function focus(/** @type {number} */ at) {
    options().forEach((option, i) => put(option, "tabindex", i === at ? "0" : "-1"));
    options()[at]?.focus({ preventScroll: true });
  }

  const path = (/** @type {string} */ name, /** @type {string} */ d) => s("path", { class: name, d });
  /** @type {(x: number, y: number, text: string, anchor?: string) => SVGElement} */
  const word = (x, y, text, anchor = "middle") => s("text", { x, y, "text-anchor": anchor, text });

  /**
   * An axis, by its logarithm: where a figure is, and which are written beside it.
   * @type {(of: LabAxis, figures: number[], from: number, to: number) => { at: (figure: number) => number, marks: { figure: number, text: string }[] }}
   */
  function scale(of, figures, from, to) {
    const least = of.percent ? Math.max(FLOOR, Math.min(0.02, ...figures) * 0.8) : Math.min(...figures, ...of.band) / 1.15;
    const most = of.percent ? 1 : Math.max(...figures, ...of.band) * 1.15;
    const digits = most < 12 * least ? [1, 2, 3, 4, 5, 6, 7, 8, 9] : DIGITS;
    const round = Array.from({ length: 14 }, (_, i) => digits.map((digit) => digit * 10 ** (i - 4) * of.unit)).flat();
    return {
      at: (figure) => from + (Math.log(Math.max(figure, least) / least) / Math.log(most / least)) * (to - from),
      marks: of.percent
        ? MARKS.filter((mark) => mark >= least).map((figure) => ({ figure, text: `${+(100 * figure).toPrecision(2)}\u00a0%` }))
        : round.filter((mark) => mark > least && mark < most).map((figure) => ({ figure, text: String(+(figure / of.unit).toPrecision(2)) })),
    };
  }

  function offer() {
    follow(tools, model.get("curves").axes, (axis) => axis.what, ({ what }) => {
      const list = choice(what, (value) => send(model, { type: "see", what, value }));
      return { node: list.node, update: (axis) => list.update(axis.options, axis.value) };
    });
  }

  function draw() {
    offer();
    width = Math.max(el.clientWidth, 260);
    const nets = model.get("nets");
    const { across, up, budget_text, front: best, shades } = model.get("curves");
    const right = width - PLOT.right;
    const foot = HIGH - PLOT.bottom;
    const known = nets.flatMap(({ y }) => (y === null ? [] : [y]));
    const x = scale(across, nets.map((net) => net.x), PLOT.left, right);
    const y = scale(up, known, foot - 14, PLOT.top);
    put(svg, "width", width);
    put(svg, "height", HIGH);
    put(svg, "viewBox", `0 0 ${width} ${HIGH}`);

    /** @type {SVGElement[]} */
    const parts = [];
    if (across.band.length) {
      const [from, to] = across.band.map(x.at);
      parts.push(s("rect", { class: "ck-lab-band", x: from, y: PLOT.top - 6, width: Math.max(to - from, 1), height: foot - PLOT.top + 6 }));
      for (const at of [from, to]) parts.push(path("ck-lab-limit", `M${at} ${PLOT.top - 6}V${foot}`));
      parts.push(word(clamp((from + to) / 2, PLOT.left + 90, right - 80), PLOT.top - 12, budget_text));
    }
    if (up.band.length) {
      const [from, to] = up.band.map(y.at);
      parts.push(s("rect", { class: "ck-lab-band", x: PLOT.left, y: to, width: right - PLOT.left, height: Math.max(from - to, 1) }));
      for (const at of [from, to]) parts.push(path("ck-lab-limit", `M${PLOT.left} ${at}H${right}`));
    }
    parts.push(word(2, 12, up.label, "start"));
    let above = Infinity;
    for (const { figure, text } of y.marks) {
      if (y.at(figure) > above) continue;
      parts.push(path("ck-lab-rule", `M${PLOT.left} ${y.at(figure)}H${right}`), word(PLOT.left - 7, y.at(figure) + 4, text, "end"));
      above = y.at(figure) - 16;
    }
    parts.push(path("ck-lab-axis", `M${PLOT.left} ${foot}H${right}`));
    let after = PLOT.left + 8;
    for (const { figure, text } of x.marks) {
      if (x.at(figure) > right - 8 || x.at(figure) < after) continue;
      parts.push(word(x.at(figure), foot + 16, text));
      after = x.at(figure) + 26;
    }
    parts.push(word((PLOT.left + right) / 2, HIGH - 5, `${across.label}; both axes log`));
    const steps = best.map(([figure, error], i) => `${i ? `H${x.at(figure)}V` : `M${x.at(figure)} `}${y.at(error)}`);
    if (steps.length > 1) parts.push(path("ck-lab-best", steps.join("")));
    back.replaceChildren(...parts);

    places = nets.map((net) => [x.at(net.x), net.y === null ? foot - 5 : y.at(net.y)]);
    follow(list, nets, (_, i) => String(i), () => {
      const mark = s("path");
      const node = s("g", { role: "option", class: "ck-lab-dot" }, mark);
      return {
        node,
        update(net, i) {
          const [x, y] = places[i];
          const ring = (/** @type {number} */ r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
          const square = `M${x - 4} ${y - 4}h8v8h-8z`;
          put(mark, "d", net.y === null ? `M${x} ${foot}v-9` : net.shade !== null && net.space ? square : ring(4.2));
          node.style.setProperty("--ck-shade", percent(net.shade ?? 0));
          put(node, "aria-label", net.label);
          const kinds = { "ck-lab-shaded": net.shade !== null, "ck-lab-pale": !net.inside, "ck-lab-own": net.own, "ck-pointed": i === pointed };
          put(node, "class", `ck-lab-dot ck-lab-${net.space} ${Object.entries(kinds).filter(([, holds]) => holds).map(([kind]) => kind).join(" ")}`);
        },
      };
    });
    mark();
    hint.hidden = known.length > 0;
    say(hint, `Nothing is trained yet: ${nets.length} nets are drawn and wait, the ticks at the foot.`);
    const squares = model.get("controls").spaces[1]?.name;
    say(legend, shades && squares ? `${shades}; squares: ${squares}` : shades);
  }

  function mark() {
    const { number } = model.get("net");
    const at = options().findIndex((option) => option === focused(el));
    options().forEach((option, i) => {
      put(option, "aria-selected", i === number ? "true" : "false");
      put(option, "tabindex", i === (at < 0 ? number : at) ? "0" : "-1");
    });
    const net = model.get("nets")[number];
    const [x, y] = places[number] ?? [0, 0];
    const text = net?.error === null ? "" : `${net?.cells[4]} · ${net?.cells[2]}`;
    const end = x > width - 130;
    front.replaceChildren(...(net ? [s("circle", { cx: x, cy: y, r: 8.5 }), word(x + (end ? -12 : 12), y - 7, text, end ? "end" : "start")] : []));
    point(pointed);
  }

  const observer = new ResizeObserver(() => el.clientWidth && Math.max(el.clientWidth, 260) !== width && draw());
  observer.observe(el);
  draw();
  const stops = [watch(model, ["nets", "curves"], draw), watch(model, ["net"], mark), () => observer.disconnect()];
  return () => stops.forEach((stop) => stop());
}

export default { render };
