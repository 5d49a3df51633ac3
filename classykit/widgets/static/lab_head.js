// @ts-check
// What the lab compares, what came of it so far, and what went wrong.

/** @param {Props<LabTraits>} props */
function render({ model, el }) {
  dress(el, "ck-model-bar");
  el.classList.add("ck-lab-head");
  const name = choice("Spaces", (spaces) => send(model, { type: "open", spaces }), { hideLabel: true });
  const title = h("div", { class: "ck-lab-title" }, h("b", { text: "Design lab" }), name.node);
  const [undo, redo] = [step(model, "undo"), step(model, "redo")];
  const facts = h("span", { class: "ck-soft" });
  const marks = h("span", { class: "ck-lab-marks" });
  const verdict = h("div", { class: "ck-soft ck-small ck-lab-verdict" });
  const totals = h("div", { class: "ck-lab-totals" });
  const error = h("span");
  const dismiss = h("button", { type: "button", class: "ck-icon", "aria-label": "Dismiss", text: "×" });
  const box = h("div", { class: "ck-error-box", hidden: true }, h("div", { class: "ck-error", role: "alert" }, error), dismiss);
  const fill = h("div", { class: "ck-progress-fill" });
  const track = h("div", { class: "ck-progress", role: "progressbar", "aria-label": "Training", "aria-valuemin": "0", "aria-valuemax": "100" }, fill);
  dismiss.addEventListener("click", () => {
    send(model, { type: "dismiss" });
    undo.node.focus({ preventScroll: true }); // the button goes away, and the focus must not fall to the page
  });
  const main = h("div", { class: "ck-model-main" },
    h("div", { class: "ck-model-facts" }, title, h("span", { class: "ck-steps" }, undo.node, redo.node), facts, marks), verdict);
  el.replaceChildren(h("div", { class: "ck-model-row" }, main, totals), box, track);

  function update() {
    const { name: of, spaces, facts: words, marks: all, totals: sums, verdict: said } = model.get("head");
    name.update(spaces, of);
    say(facts, words);
    say(verdict, said);
    follow(marks, all, (mark) => mark.name, ({ name: space }) => {
      const [sign, count] = [h("span", { "aria-hidden": "true" }), h("b")];
      const node = h("span", { class: "ck-lab-mark-of" }, sign, `${space} `, count);
      return { node, update: (now, index) => (put(sign, "class", `ck-lab-mark ck-lab-${index}`), say(count, now.count)) };
    });
    follow(totals, sums, (sum) => sum.label, () => {
      const [value, label] = [h("b"), h("span", { class: "ck-soft ck-small" })];
      return { node: h("span", {}, value, label), update: (now) => (say(value, now.value), say(label, now.label)) };
    });
    undo.update();
    redo.update();
  }

  function report() {
    const [busy, done, trouble] = [Boolean(model.get("busy")), model.get("progress"), model.get("error")];
    track.classList.toggle("ck-busy", busy);
    put(track, "aria-hidden", busy ? null : "true");
    put(track, "aria-valuenow", done < 0 ? null : Math.round(done * 100));
    fill.style.width = percent(done);
    box.hidden = trouble === "";
    say(error, trouble);
  }

  update();
  report();
  const stops = [watch(model, ["head", "steps"], update), watch(model, ["busy", "progress", "error"], report)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
