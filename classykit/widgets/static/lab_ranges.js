// @ts-check
// What is drawn and what it is taught: ranges, budget, and the buttons that begin and end it.

/**
 * A slider of two thumbs over the stops of a range: two sliders on one rail, each with a name of its own.
 * @param {string} of
 * @param {(low: number, high: number, done: boolean) => void} turn
 */
function rangeRow(of, turn) {
  let timer = 0;
  let held = false; // answers to what it showed before would move it under the hand
  /** @type {LabRange | null} */
  let now = null;
  const name = h("span", { class: "ck-lab-key" });
  const value = h("span", { class: "ck-lab-value" });
  const fill = h("span", { class: "ck-lab-span" });
  const thumbs = ["least", "most"].map(() => h("input", { type: "range", min: 0, step: 1 }));
  const rail = h("span", { class: "ck-lab-rail" }, fill, ...thumbs);
  const ends = () => thumbs.map((thumb) => Number(thumb.value)).sort((a, b) => a - b);
  const ask = (/** @type {boolean} */ done) => {
    clearTimeout(timer);
    timer = 0;
    const [low, high] = ends();
    turn(low, high, done);
  };
  for (const [i, thumb] of thumbs.entries()) {
    thumb.addEventListener("input", () => {
      const other = Number(thumbs[1 - i].value); // a thumb stops at the other
      if (i === 0 ? Number(thumb.value) > other : Number(thumb.value) < other) thumb.value = String(other);
      draw();
      timer ||= setTimeout(() => ask(false), PACE);
    });
    thumb.addEventListener("change", () => ask(true));
    thumb.addEventListener("pointerdown", () => (held = true));
    for (const end of ["pointerup", "pointercancel", "blur"]) thumb.addEventListener(end, () => (held = false));
  }

  function draw() {
    if (!now) return;
    const last = now.stops.length - 1;
    const [low, high] = ends();
    // as the thumbs stand: their middles are half a thumb within the rail
    fill.style.left = `calc(12px + ${low / last} * (100% - 24px))`;
    fill.style.width = `calc(${(high - low) / last} * (100% - 24px))`;
    thumbs.forEach((thumb) => put(thumb, "aria-valuetext", now?.stops[Number(thumb.value)]));
    thumbs[0].classList.toggle("ck-lab-above", low > last / 2); // where both stand at the end, this one can go
    const same = low === high || now.stops[low] === now.stops[high];
    say(value, held || timer ? (same ? now.stops[low] : `${now.stops[low]} – ${now.stops[high]}`) : now.text);
  }

  return {
    node: h("div", { class: "ck-lab-range" }, name, rail, value),
    update(/** @type {LabRange} */ range) {
      now = range;
      say(name, range.label);
      thumbs.forEach((thumb, i) => {
        put(thumb, "aria-label", `${of} ${range.label}, ${i ? "most" : "least"}`);
        put(thumb, "max", range.stops.length - 1);
        if (!held && !timer) thumb.value = String(range.at[i]);
      });
      draw();
    },
  };
}

/** @param {Props<LabTraits>} props */
function render({ model, el }) {
  dress(el, "ck-lab-ranges");
  const about = h("div", { class: "ck-small ck-soft", text: "Every net is a random point of its ranges." });
  const spaces = h("div", { class: "ck-lab-spaces" });
  const budget = rangeRow("Budget", (low, high, done) => send(model, { type: "budget", low, high, done }));
  const task = h("div", { class: "ck-lab-task" });
  const more = h("button", { type: "button", class: "ck-button ck-primary" });
  const other = h("button", { type: "button", class: "ck-button" });
  const counts = h("div", { class: "ck-small ck-soft" });
  const refusals = h("div", { class: "ck-small ck-soft" });
  const status = h("div", { class: "ck-small ck-lab-status", role: "status" });
  const heading = (/** @type {string} */ text) => h("h3", { class: "ck-lab-heading", text });
  el.replaceChildren(heading("Spaces"), about, spaces, heading("Budget"), budget.node, heading("Trained on"), task,
    h("div", { class: "ck-lab-buttons" }, more, other), counts, refusals, status);
  more.addEventListener("click", () => send(model, { type: "sample" }));
  other.addEventListener("click", () => {
    if (model.get("busy")) send(model, { type: "stop" });
    else if (model.get("counts").waiting) send(model, { type: "train" });
  });

  /** @type {(space: { name: string }) => Follower<LabTraits["controls"]["spaces"][0]>} */
  const card = ({ name }) => {
    let at = 0;
    const note = h("span", { class: "ck-soft ck-small" });
    const ranges = h("div");
    const mark = h("span", { "aria-hidden": "true" });
    const row = (/** @type {LabRange} */ range) =>
      rangeRow(name, (low, high, done) => send(model, { type: "range", space: at, key: range.key, low, high, done }));
    const node = h("section", { class: "ck-lab-space", "aria-label": name },
      h("div", { class: "ck-lab-space-head" }, h("b", {}, mark, name), note), ranges);
    return {
      node,
      update(now, index) {
        at = index; // another where other spaces are opened
        put(mark, "class", `ck-lab-mark ck-lab-${index}`);
        say(note, now.note);
        follow(ranges, now.ranges, (range) => range.key, row);
      },
    };
  };

  function update() {
    const now = model.get("controls");
    follow(spaces, now.spaces, (space) => space.name, card);
    budget.update(now.budget);
    follow(task, now.task, (one) => one.what, (one) => {
      const list = choice(one.what, (value) => send(model, { type: "task", what: one.what, value }), { hideLabel: true });
      return { node: list.node, update: (of) => list.update(of.options, of.value) };
    });
    say(more, `Sample ${now.each} more`);
  }

  function report() {
    const { waiting, words, refusals: refused } = model.get("counts");
    const busy = Boolean(model.get("busy"));
    say(other, busy ? "Stop" : `Train ${waiting} waiting`);
    put(other, "aria-disabled", busy || waiting ? null : "true");
    say(counts, words);
    say(refusals, refused);
    say(status, model.get("status"));
  }

  update();
  report();
  const stops = [watch(model, ["controls"], update), watch(model, ["counts", "busy", "status"], report)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
