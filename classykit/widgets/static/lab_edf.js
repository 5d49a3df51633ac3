// @ts-check
// The share of each space's nets whose error is below e, for every e: the curve that lies higher is the better space.

const AREA = { width: 290, height: 300, left: 38, right: 10, top: 26, bottom: 40 };

/** @param {Props<LabTraits>} props */
function render({ model, el }) {
  const svg = s("svg", { class: "ck-lab-plot", role: "img", viewBox: `0 0 ${AREA.width} ${AREA.height}`, width: AREA.width, height: AREA.height });
  el.classList.add("ck-lab-edf");
  el.replaceChildren(svg);
  /** @type {(x: number, y: number, text: string, anchor?: string) => SVGElement} */
  const word = (x, y, text, anchor = "middle") => s("text", { x, y, "text-anchor": anchor, text });

  function draw() {
    const { edf, edf_words } = model.get("curves");
    const [right, foot] = [AREA.width - AREA.right, AREA.height - AREA.bottom];
    const all = edf.flatMap(({ steps }) => steps.map(([error]) => error));
    const least = Math.max(0.002, Math.min(0.05, ...all) * 0.8);
    const xOf = (/** @type {number} */ error) => AREA.left + (1 - Math.log(Math.max(error, least)) / Math.log(least)) * (right - AREA.left);
    const yOf = (/** @type {number} */ share) => foot - share * (foot - AREA.top);
    const parts = [word(2, 12, "share of the nets in the budget", "start")];
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      parts.push(s("path", { class: share === 0.5 ? "ck-lab-limit" : "ck-lab-rule", d: `M${AREA.left} ${yOf(share)}H${right}` }));
      parts.push(word(AREA.left - 6, yOf(share) + 4, String(share), "end"));
    }
    let after = 0;
    for (const error of [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1].filter((mark) => mark >= least)) {
      if (Math.min(xOf(error), right - 12) < after) continue;
      parts.push(word(Math.min(xOf(error), right - 12), foot + 16, `${100 * error}\u00a0%`));
      after = xOf(error) + 38;
    }
    parts.push(word((AREA.left + right) / 2, AREA.height - 5, "with an error of at most"));
    edf.forEach(({ steps }, i) => {
      if (!steps.length) return;
      const line = steps.map(([error, share]) => `H${xOf(error)}V${yOf(share)}`).join("");
      parts.push(s("path", { class: `ck-lab-curve ck-lab-${i}`, d: `M${AREA.left} ${foot}${line}H${right}` }));
    });
    svg.replaceChildren(...parts);
    put(svg, "aria-label", edf_words);
  }

  draw();
  return watch(model, ["curves"], draw);
}

export default { render };
