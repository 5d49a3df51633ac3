// @ts-check
// The blocks of several models, a row each, in columns by stage and on one scale of colours.

const GUTTER = 30; // for the letters at the left
const BLOCK = { name: 0, label: 1, stage: 2, channels: 3, side: 4, skip: 5, share: 6 }; // what a block's list holds

/** @type {(block: any[], scale: number) => number} */
const widthOf = (block, scale) => clamp((9 + 1.5 * Math.sqrt(Math.max(block[BLOCK.channels], 1))) * scale, 5, 76);
/** @type {(block: any[], tall: number) => number} */
const heightOf = (block, tall) => clamp((26 + 23 * Math.log2(Math.max(block[BLOCK.side], 1) / 7)) * tall, 8, 150 * tall);

/**
 * Where each stage begins and how wide it is: as wide as in the model that has most of it.
 * @param {any} pane
 * @param {number} scale
 */
function columns(pane, scale) {
  const inner = clamp(6 * scale, 2, 8);
  const between = clamp(18 * scale, 8, 40);
  let x = GUTTER;
  const stages = pane.stages.map((/** @type {string} */ heading, /** @type {number} */ stage) => {
    const rows = pane.models.map((/** @type {any} */ model) =>
      model.blocks.filter((/** @type {any[]} */ b) => b[BLOCK.stage] === stage).reduce((/** @type {number} */ sum, /** @type {any[]} */ b) => sum + widthOf(b, scale) + inner, -inner),
    );
    const width = Math.max(heading.length * 6.6, ...rows);
    const left = x;
    x += width + between;
    return { heading, left, width };
  });
  return { stages, inner, end: x - between + 8 };
}

// The widest scale that fits; where none does, one that is easy to read, and the rows scroll.
/** @type {(pane: any, available: number) => ReturnType<typeof columns> & { scale: number }} */
function fitted(pane, available) {
  for (let scale = 1.5; scale > 0.3; scale -= 0.04) {
    const found = columns(pane, scale);
    if (found.end <= available) return { ...found, scale };
  }
  return { ...columns(pane, 0.7), scale: 0.7 };
}

/** @param {Props<PaneTraits>} props */
function render({ model, el }) {
  const svg = s("svg", { class: "ck-cmp-svg", role: "presentation" });
  const scroller = h("div", { class: "ck-cmp-scroll" }, svg);
  el.classList.add("ck-cmp-map");
  const scale = h("p", { class: "ck-soft ck-small", text: "one scale for all, square root; stages stand under each other by resolution" });
  el.replaceChildren(scroller, scale);
  let colour = 0; // of the colours, which one
  /** @type {number[]} */
  const reach = []; // in each row the block that Tab reaches
  let drawn = 0; // how wide it was drawn

  const pane = () => (model.get("pane")?.tab === "compare" && model.get("pane").stages ? model.get("pane") : null);

  /** @type {(at: number, block: string, alone: boolean) => void} */
  function choose(at, block, alone) {
    if (at === 0 && !alone) send(model, { type: "select", block });
    else send(model, { type: "compare_block", at, block });
  }

  // Arrows move, Enter chooses; with Alt the arrows choose at once, and in this model alone.
  /** @type {(event: KeyboardEvent, at: number, index: number) => void} */
  function onKey(event, at, index) {
    const blocks = pane()?.models[at].blocks ?? [];
    /** @type {Record<string, number>} */
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      const from = event.altKey ? blocks.findIndex((/** @type {any[]} */ b) => b[BLOCK.name] === pane()?.models[at].block) : index;
      reach[at] = clamp(from + steps[event.key], 0, blocks.length - 1);
      if (event.altKey) choose(at, blocks[reach[at]][BLOCK.name], true);
      mark(at);
      /** @type {SVGElement[]} */ ([...svg.querySelectorAll(`[data-row="${at}"] .ck-cmp-block`)])[reach[at]]?.focus();
    } else if (event.key === "Enter" || event.key === " ") {
      choose(at, blocks[index][BLOCK.name], event.altKey);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const next = at + (event.key === "ArrowDown" ? 1 : -1);
      /** @type {SVGElement | null} */ (svg.querySelector(`[data-row="${next}"] [tabindex="0"]`))?.focus();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  function drawRow(/** @type {any} */ of, /** @type {number} */ at, /** @type {any} */ places, /** @type {number} */ top, /** @type {number} */ tall) {
    const axis = top + 83 * tall;
    const low = axis + 75 * tall + 14; // where the names stand
    const next = places.stages.map((/** @type {any} */ stage) => stage.left);
    const blocks = of.blocks.map((/** @type {any[]} */ block, /** @type {number} */ index) => {
      const [name, label, stage, channels, side] = block;
      const width = widthOf(block, places.scale);
      const height = heightOf(block, tall);
      const x = next[stage];
      next[stage] += width + places.inner;
      const words = `${name}, ${channels} channels${side > 1 ? ` at ${side}` : ""}`;
      const node = s(
        "g",
        { class: "ck-cmp-block", role: "option", "aria-label": words },
        s("title", { text: words }),
        block[BLOCK.skip] ? s("path", { class: "ck-cmp-skip", d: `M ${x - 2} ${axis} V ${axis - height / 2 - 6} H ${x + width + 2} V ${axis}` }) : s("path"),
        s("rect", { class: "ck-cmp-hit", x: x - places.inner / 2, y: top, width: width + places.inner, height: low - top + 4 }),
        s("rect", { class: "ck-cmp-ring", x: x - 4, y: axis - height / 2 - 4, width: width + 8, height: height + 8, rx: 6 }),
        s("rect", { class: "ck-cmp-body", x, y: axis - height / 2, width, height, rx: 3 }),
        s("text", { class: "ck-cmp-name", x: x + width / 2, y: low, text: label }),
      );
      node.addEventListener("click", (event) => {
        reach[at] = index;
        choose(at, name, event.altKey);
      });
      node.addEventListener("keydown", (event) => onKey(event, at, index));
      node.dataset.middle = String(x + width / 2);
      return node;
    });
    const letter = s("g", {}, s("rect", { class: "ck-cmp-letter", x: 2, y: axis - 9, width: 18, height: 18, rx: 4 }), s("text", { class: "ck-cmp-letter-text", x: 11, y: axis + 4, text: of.letter }));
    const line = s("path", { class: "ck-cmp-axis", d: `M ${GUTTER - 6} ${axis} H ${places.end - 8}` });
    const list = s("g", { role: "listbox", "aria-label": `${of.letter}, ${of.name}: blocks`, "aria-orientation": "horizontal", "data-row": at }, ...blocks);
    return [line, letter, list];
  }

  function draw() {
    const now = pane();
    if (!now || !scroller.clientWidth) return;
    drawn = scroller.clientWidth;
    const held = /** @type {SVGElement | null} */ (focused(el));
    const row = held?.closest("[data-row]")?.getAttribute("data-row");
    const tall = now.models.length > 2 ? 0.36 : 0.6;
    const step = 158 * tall + 30;
    const places = fitted(now, drawn);
    const parts = places.stages.flatMap((/** @type {any} */ { heading, left, width }) => [
      s("text", { class: "ck-cmp-heading", x: left + width / 2, y: 12, text: heading }),
      s("path", { class: "ck-cmp-rule", d: `M ${left} 18 H ${left + width}` }),
    ]);
    const height = 24 + step * now.models.length;
    put(svg, "width", Math.max(places.end, drawn));
    put(svg, "height", height);
    svg.replaceChildren(...parts, ...now.models.flatMap((/** @type {any} */ of, /** @type {number} */ at) => drawRow(of, at, places, 22 + at * step, tall)));
    paint();
    mark(row ? Number(row) : -1);
    if (row && svg.contains(held) === false) /** @type {SVGElement | null} */ (svg.querySelector(`[data-row="${row}"] [tabindex="0"]`))?.focus();
  }

  const rows = () => [...svg.querySelectorAll("[data-row]")].map((list) => /** @type {SVGElement[]} */ ([...list.querySelectorAll(".ck-cmp-block")]));

  function paint() {
    const now = pane();
    rows().forEach((blocks, at) =>
      blocks.forEach((node, i) => {
        const share = now?.models[at].blocks[i][BLOCK.share + colour] ?? 0;
        const body = /** @type {SVGElement} */ (node.querySelector(".ck-cmp-body"));
        body.style.fill = `color-mix(in srgb, var(--ck-ramp-low), var(--ck-ramp-high) ${(100 * Math.sqrt(share)).toFixed(1)}%)`;
      }),
    );
  }

  // The chosen block of each row, and as many names as have room: the chosen one's first.
  function mark(/** @type {number} */ kept = -1) {
    const now = pane();
    if (!now) return;
    rows().forEach((nodes, at) => {
      const { blocks, block } = now.models[at];
      const chosen = blocks.findIndex((/** @type {any[]} */ b) => b[BLOCK.name] === block);
      if (at !== kept && !nodes.includes(/** @type {any} */ (focused(el)))) reach[at] = Math.max(chosen, 0);
      reach[at] = clamp(reach[at] ?? 0, 0, nodes.length - 1);
      /** @type {[number, number][]} */
      const taken = [];
      const order = [chosen, ...nodes.keys()].filter((i, k, all) => i >= 0 && all.indexOf(i) === k);
      for (const i of order) {
        const half = String(blocks[i][BLOCK.label]).length * 3.4 + 3;
        const middle = Number(nodes[i].dataset.middle);
        const clear = taken.every(([from, to]) => middle + half <= from || middle - half >= to);
        if (clear) taken.push([middle - half, middle + half]);
        nodes[i].classList.toggle("ck-cmp-unnamed", !clear);
      }
      nodes.forEach((node, i) => {
        put(node, "aria-selected", i === chosen ? "true" : "false");
        put(node, "tabindex", i === reach[at] ? "0" : "-1");
      });
    });
  }

  const observer = new ResizeObserver(() => scroller.clientWidth !== drawn && draw());
  observer.observe(scroller);
  return {
    update: draw,
    /** @param {number} index of the colours */
    paint(index) {
      colour = index;
      paint();
    },
    stop: () => observer.disconnect(),
  };
}

export default { render };
