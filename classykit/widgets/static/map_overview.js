// @ts-check
// All blocks in a strip, unfolded, and which of them the map shows; it is dragged, or moved by keys, to see others.

const STEP = 4; // pixels a block
const WIDEST = 420;
const NARROW = 700; // where the strip has a row of its own
const TALL = 18;

/** @param {{ scroller: HTMLElement, moved: () => void }} props */
function render({ scroller, moved }) {
  const words = h("span", { class: "ck-soft" });
  const bars = s("svg", { "aria-hidden": "true", height: TALL });
  const frame = h("span", { class: "ck-overview-frame" });
  const strip = h("div", { class: "ck-overview-strip" }, bars, frame);
  const node = h("div", { class: "ck-overview" }, words, strip);
  node.hidden = true;
  /** @type {MapPlaces | null} */
  let places = null;
  /** @type {Block[]} */
  let blocks = [];
  let step = STEP;
  let wide = 0; // of the band that shows the map
  /** @type {Element | undefined} */
  let chosen;

  // From pixels of the map to blocks from the first, and back; between blocks, and within a pile, in proportion.
  /** @type {(from: number[], to: number[]) => (at: number) => number} */
  const between = (from, to) => (at) => {
    const i = from.findIndex((x) => x > at);
    if (i === 0) return to[0];
    if (i < 0) return to[to.length - 1];
    return to[i - 1] + ((at - from[i - 1]) / (from[i] - from[i - 1])) * (to[i] - to[i - 1]);
  };

  function marks() {
    const all = places?.all ?? [];
    return {
      map: all.flatMap(({ x, width }) => [x, x + width]),
      nth: all.flatMap(({ item }) => [item.start, item.start + item.blocks.length]),
    };
  }

  const scrolls = () => (places?.end ?? 0) > wide + 1;

  function showFrame() {
    if (!places || node.hidden) return;
    const { map, nth } = marks();
    const at = between(map, nth);
    const left = scroller.scrollLeft;
    const [from, to] = scrolls() ? [at(left), at(left + wide)] : [0, blocks.length];
    frame.style.left = `${from * step - 2}px`;
    frame.style.width = `${Math.max((to - from) * step, 4) + 3}px`;
    const [first, last] = [Math.min(Math.ceil(from - 0.5), blocks.length - 1), Math.max(Math.floor(to + 0.5) - 1, 0)];
    const inView = Math.max(last - first + 1, 1);
    const all = `all ${blocks.length} blocks`;
    const some = `${inView} of ${blocks.length} in view`;
    say(words, scrolls() ? some : all);
    const name = { role: scrolls() ? "slider" : "img", "aria-label": scrolls() ? "Part of the map in view" : all };
    /** @type {Record<string, string | null>} */
    const value = scrolls()
      ? {
          tabindex: "0",
          "aria-valuemin": "1",
          "aria-valuemax": String(Math.max(blocks.length - inView + 1, first + 1)),
          "aria-valuenow": String(first + 1),
          "aria-valuetext": `${some}, ${blocks[first]?.name} to ${blocks[last]?.name}`,
        }
      : { tabindex: null, "aria-valuemin": null, "aria-valuemax": null, "aria-valuenow": null, "aria-valuetext": null };
    for (const [key, said] of Object.entries({ ...name, ...value })) put(strip, key, said);
  }

  // Puts the middle of the frame at a block.
  function goTo(/** @type {number} */ nth) {
    const of = marks();
    scroller.scrollLeft = between(of.nth, of.map)(nth) - wide / 2;
  }

  strip.addEventListener("pointerdown", (event) => {
    if (event.button || !scrolls()) return;
    strip.setPointerCapture(event.pointerId);
    drag(event);
  });
  const drag = (/** @type {PointerEvent} */ event) => goTo((event.clientX - bars.getBoundingClientRect().left) / step);
  strip.addEventListener("pointermove", (event) => strip.hasPointerCapture(event.pointerId) && drag(event));
  strip.addEventListener("keydown", (event) => {
    if (!scrolls() || event.ctrlKey || event.metaKey || event.altKey) return;
    /** @type {Record<string, number>} */
    const ways = { ArrowLeft: -60, ArrowDown: -60, ArrowRight: 60, ArrowUp: 60, PageUp: 0.8 * wide, PageDown: -0.8 * wide, Home: -1e6, End: 1e6 };
    if (!(event.key in ways)) return;
    scroller.scrollLeft += ways[event.key];
    event.preventDefault();
    event.stopPropagation();
  });

  /** @type {(now: MapPlaces, width: number, colour: (block: Block) => string) => void} */
  function draw(now, width, colour) {
    places = now;
    wide = width;
    blocks = now.all.flatMap(({ item }) => item.blocks);
    const folded = now.all.some(({ item }) => item.pile);
    node.hidden = blocks.length < 2 || !(folded || scrolls());
    if (node.hidden) return;
    step = Math.min(STEP, Math.min(WIDEST, wide * (wide > NARROW ? 0.27 : 0.6)) / blocks.length);
    put(bars, "width", Math.ceil(step * blocks.length));
    const heights = now.all.flatMap(({ item, height }) => item.blocks.map(() => Math.max((TALL * height) / 150, 4)));
    const drawn = blocks.map((block, i) => {
      const bar = s("rect", {
        class: "ck-overview-bar",
        x: (i * step).toFixed(2),
        y: ((TALL - heights[i]) / 2).toFixed(1),
        width: Math.max(step - 1, step * 0.7).toFixed(2),
        height: heights[i].toFixed(1),
      });
      bar.style.setProperty("--ck-fill", colour(block) || "var(--ck-bg)");
      return bar;
    });
    bars.replaceChildren(...drawn);
    showFrame();
  }

  function mark(/** @type {string} */ selected) {
    chosen?.classList.remove("ck-chosen");
    chosen = bars.children[blocks.findIndex((block) => block.name === selected)];
    chosen?.classList.add("ck-chosen");
  }

  let waiting = 0;
  scroller.addEventListener("scroll", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => (showFrame(), moved()));
  });

  return { node, draw, mark };
}

export default { render };
