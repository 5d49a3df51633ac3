// @ts-check
// How many channels each block has, with the preset's in grey, and what its keys make of the preset.

const SIZE = { width: 380, height: 176, left: 40, right: 10, top: 10, bottom: 20 };

// A round step that makes three to six of `most`.
function stepOf(/** @type {number} */ most) {
  const unit = 10 ** Math.floor(Math.log10(most / 3));
  return unit * ([5, 2, 1].find((n) => n * unit <= most / 3) ?? 1);
}

/** @param {{ model: Model<PaneTraits>, el: HTMLElement }} props */
function render({ model, el }) {
  const svg = s("svg", { class: "ck-widths-svg", role: "img", "aria-label": "Widths of the blocks", viewBox: `0 0 ${SIZE.width} ${SIZE.height}` });
  const legend = h("div", { class: "ck-widths-legend ck-small ck-soft" });
  const about = h("p", { class: "ck-soft ck-small" });
  const words = h("p", { class: "ck-soft ck-small ck-widths-words" });
  const rounded = h("p", { class: "ck-soft ck-small ck-widths-words" });
  const picture = h("section", {}, h("h4", { text: "Widths, block by block" }), about, svg, legend, words, rounded);
  const rows = h("tbody");
  const columns = ["", "preset", "now", "change"].map((text, i) => h(i ? "th" : "td", { scope: i ? "col" : null, class: "ck-right", text }));
  const against = h("section", {}, h("h4", { text: "Against the preset" }), h("table", { class: "ck-table ck-against" }, h("thead", {}, h("tr", {}, ...columns)), rows));
  el.classList.add("ck-widths");
  el.replaceChildren(picture, against);
  /** @type {string[]} */
  let blocks = [];

  /** @type {(text: string, kind: string) => HTMLElement} */
  const entry = (text, kind) => h("span", {}, h("span", { class: `ck-key-mark ${kind}`, "aria-hidden": "true" }), text);

  function draw(/** @type {any} */ { now, preset, line }) {
    const count = Math.max(now.length, preset.length);
    const end = line ? line.first + line.slope * (now.length - 1 - line.from) : 0;
    const most = Math.max(...now, ...preset, end) * 1.04;
    const x = (/** @type {number} */ i) => SIZE.left + 6 + (i / Math.max(count - 1, 1)) * (SIZE.width - SIZE.left - SIZE.right - 12);
    const y = (/** @type {number} */ n) => SIZE.height - SIZE.bottom - (n / most) * (SIZE.height - SIZE.top - SIZE.bottom);
    const parts = [];
    for (let n = 0, step = stepOf(most); n <= most; n += step) {
      parts.push(s("path", { class: "ck-widths-rule", d: `M ${SIZE.left} ${y(n)} H ${SIZE.width - SIZE.right}` }));
      parts.push(s("text", { class: "ck-widths-tick", x: SIZE.left - 6, y: y(n) + 3, "text-anchor": "end", text: n }));
    }
    for (const i of new Set([0, Math.floor((count - 1) / 2), count - 1])) {
      parts.push(s("text", { class: "ck-widths-tick", x: x(i), y: SIZE.height - 5, "text-anchor": "middle", text: i + 1 }));
    }
    const places = preset.map((/** @type {number} */ n, /** @type {number} */ i) => `${x(i).toFixed(1)} ${y(n).toFixed(1)}`);
    if (places.length) parts.push(s("path", { class: "ck-widths-preset", d: `M ${places.join(" L ")}` }));
    if (line) parts.push(s("path", { class: "ck-widths-line", d: `M ${x(line.from)} ${y(line.first)} L ${x(now.length - 1)} ${y(end)}` }));
    now.forEach((/** @type {number} */ n, /** @type {number} */ i) =>
      parts.push(s("circle", { class: "ck-widths-dot", cx: x(i).toFixed(1), cy: y(n).toFixed(1), r: count > 40 ? 2 : 3.2 }, s("title", { text: `${blocks[i]}: ${n}` }))),
    );
    svg.replaceChildren(...parts);
    legend.replaceChildren(
      entry("channels of a block", "ck-of-now"),
      ...(line ? [entry("w_0 + w_a · i", "ck-of-line")] : []),
      ...(places.length ? [entry("the preset", "ck-of-preset")] : []),
    );
  }

  function mark() {
    const at = blocks.indexOf(model.get("selected") ?? "");
    svg.querySelectorAll(".ck-widths-dot").forEach((dot, i) => dot.classList.toggle("ck-chosen", i === at));
  }

  return {
    mark,
    update(/** @type {any} */ { widths, against: changes }) {
      picture.hidden = !widths;
      against.hidden = !changes.length;
      el.hidden = !widths && !changes.length;
      rows.replaceChildren(
        ...changes.map((/** @type {any} */ row) =>
          h(
            "tr",
            {},
            h("th", { scope: "row", text: row.label }),
            h("td", { class: "ck-right ck-soft", text: row.preset }),
            h("td", { class: "ck-right" }, h("b", { text: row.now })),
            h("td", { class: "ck-right", text: row.change }),
          ),
        ),
      );
      if (!widths) return;
      blocks = widths.blocks;
      put(svg, "aria-label", `Widths of the blocks in their order: ${widths.words}`);
      say(about, widths.line ? "a straight line, rounded to steps; each step is a stage" : "channels of what each block gives");
      say(words, widths.words);
      say(rounded, widths.rounded);
      draw(widths);
      mark();
    },
  };
}

export default { render };
