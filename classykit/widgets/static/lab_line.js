// @ts-check
// The widths of the chosen net's blocks beside the straight line that they are rounded from; in grey as it was sampled.

const BARS = { height: 220, left: 36, right: 8, top: 22, bottom: 28 };

/** @param {Props<LabTraits>} props */
function render({ model, el }) {
  const svg = s("svg", { class: "ck-lab-plot", role: "img", height: BARS.height });
  el.classList.add("ck-lab-line");
  el.replaceChildren(svg);
  /** @type {(x: number, y: number, text: string, anchor?: string, name?: string) => SVGElement} */
  const word = (x, y, text, anchor = "middle", name = "") => s("text", { x, y, "text-anchor": anchor, text, class: name });

  let width = 0;

  function draw() {
    width = Math.max(el.clientWidth, 200);
    put(svg, "width", width);
    put(svg, "viewBox", `0 0 ${width} ${BARS.height}`);
    const { blocks, ghost, line, title } = model.get("net");
    const [right, foot] = [width - BARS.right, BARS.height - BARS.bottom];
    const count = Math.max(blocks.length, ghost.length);
    const end = line ? line.first + line.slope * (blocks.length - 1) : 0;
    const most = Math.max(...blocks, ...ghost, end) * 1.05;
    const pitch = (right - BARS.left) / count;
    const wide = Math.min(pitch * 0.55, 18);
    const xOf = (/** @type {number} */ i) => BARS.left + (i + 0.5) * pitch;
    const yOf = (/** @type {number} */ n) => foot - (n / most) * (foot - BARS.top);
    const parts = [word(2, 11, "channels", "start")];
    const unit = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024].find((n) => most / n <= 5) ?? 2048;
    for (let n = 0; n <= most; n += unit) {
      parts.push(s("path", { class: "ck-lab-rule", d: `M${BARS.left} ${yOf(n)}H${right}` }), word(BARS.left - 6, yOf(n) + 4, String(n), "end"));
    }
    const bar = (/** @type {number} */ n, /** @type {number} */ i, /** @type {string} */ name, side = wide) =>
      s("rect", { class: name, x: xOf(i) - side / 2, y: yOf(n), width: side, height: foot - yOf(n), rx: 2 });
    parts.push(...ghost.map((n, i) => bar(n, i, "ck-lab-ghost", Math.min(pitch * 0.86, wide + 8))));
    parts.push(...blocks.map((n, i) => bar(n, i, "ck-lab-bar")));
    if (line && blocks.length > 1) parts.push(s("path", { class: "ck-lab-slope", d: `M${xOf(0)} ${yOf(line.first)}L${xOf(blocks.length - 1)} ${yOf(end)}` }));
    const runs = [];
    for (let i = 0, start = 0; i < blocks.length; i++) {
      if (blocks[i + 1] === blocks[i]) continue;
      runs.push(`${i + 1 - start} × ${blocks[i]}`);
      parts.push(word(clamp((xOf(start) + xOf(i)) / 2, BARS.left + 18, right - 20), yOf(blocks[i]) - 5, runs[runs.length - 1], "middle", "ck-lab-run"));
      start = i + 1;
    }
    parts.push(word((BARS.left + right) / 2, BARS.height - 6, `block 1 … ${blocks.length}${ghost.length ? "; grey: as sampled" : ""}`));
    svg.replaceChildren(...parts);
    put(svg, "aria-label", `Widths of ${title}, block by block: ${runs.join(", ")}`);
  }

  const observer = new ResizeObserver(() => el.clientWidth && Math.max(el.clientWidth, 200) !== width && draw());
  observer.observe(el);
  draw();
  const stop = watch(model, ["net"], draw);
  return () => (stop(), observer.disconnect());
}

export default { render };
