// @ts-check
// What the model is and what it costs: the model picker, facts, device, totals, status and errors.

const LATE = 150; // milliseconds, after which what is under way can be cancelled

/** @param {Props<BarTraits>} props */
function render({ model, el }) {
  dress(el, "ck-model-bar");
  const modelBox = h("span", { class: "ck-model-box" });
  const models = picker.render({ model, el: modelBox });
  const chips = h("span", { class: "ck-chips" });
  const side = choice("Input", (value) => send(model, { type: "key", key: model.get("state")?.side?.key, value, done: true }), { hideLabel: true });
  const facts = h("span", { class: "ck-soft" });
  const device = choice("Device", (id) => send(model, { type: "device", device: id }), { hideLabel: true });
  const totals = h("div");
  const cancel = h("button", { type: "button", class: "ck-button ck-small ck-cancel", text: "Cancel", hidden: true });
  let patience = 0;
  const activity = h("span", { class: "ck-activity", "aria-hidden": "true" });
  const status = h("span", { role: "status" });
  const progress = h("div", { class: "ck-progress-fill" });
  const track = h("div", { class: "ck-progress", role: "progressbar", "aria-label": "Progress", "aria-valuemin": "0", "aria-valuemax": "100" }, progress);
  const error = h("span", { class: "ck-error-text" });
  const alert = h("div", { class: "ck-error", role: "alert" }, error);
  const dismiss = h("button", { type: "button", class: "ck-icon", "aria-label": "Dismiss", text: "×" });
  const box = h("div", { class: "ck-error-box", hidden: true }, alert, dismiss);
  dismiss.addEventListener("click", () => {
    send(model, { type: "dismiss" });
    models.focus(); // the button goes away, and the focus must not fall to the page
  });
  cancel.addEventListener("click", () => send(model, { type: "cancel" }));
  const [undo, redo] = [step(model, "undo"), step(model, "redo")];

  el.replaceChildren(
    h(
      "div",
      { class: "ck-model-row" },
      h(
        "div",
        { class: "ck-model-main" },
        h("div", { class: "ck-model-facts" }, modelBox, h("span", { class: "ck-steps" }, undo.node, redo.node), chips, h("span", { class: "ck-facts" }, side.node, facts, device.node)),
        h("div", { class: "ck-status" }, activity, status, cancel),
      ),
      totals,
    ),
    box,
    track,
  );

  function update() {
    const state = model.get("state") ?? {};
    undo.update();
    redo.update();
    showChips(state);
    const devices = state.devices ?? [];
    const sized = state.side ?? null;
    say(facts, (state.facts ?? []).filter((fact) => !sized || fact !== `${sized.value} px`).join(" · "));
    side.node.hidden = !sized;
    if (sized) side.update(sized.options, sized.value);
    side.node.classList.toggle("ck-dot", facts.textContent !== "");
    facts.classList.toggle("ck-dot", devices.length > 0 && facts.textContent !== "");
    device.node.hidden = devices.length === 0;
    device.update(devices, state.device);
  }

  // What was made of it, and what was changed.
  function showChips(/** @type {BarTraits["state"]} */ state) {
    const changed = model.get("design")?.changed ?? 0;
    const all = [
      state.custom ? { kind: "own", text: "your module" } : null,
      state.trained ? { kind: "trained", text: `trained · ${state.trained}` } : state.custom || !state.name ? null : { kind: "untrained", text: "untrained" },
      changed ? { kind: "own", text: `${changed} ${changed === 1 ? "key" : "keys"} changed` } : null,
    ].filter((chip) => chip !== null);
    follow(chips, all, (chip) => `${chip.kind} ${chip.text}`, (chip) => ({ node: h("span", { class: `ck-chip ck-chip-${chip.kind}`, text: chip.text }) }));
  }

  // Work that takes a moment only shows no button that would be gone before anybody could press it.
  function offerCancel(/** @type {boolean} */ busy) {
    if (busy) {
      patience ||= setTimeout(() => (cancel.hidden = false), LATE);
      return;
    }
    clearTimeout(patience);
    patience = 0;
    if (cancel === focused(el)) models.focus(); // the button goes away, and the focus must not fall to the page
    cancel.hidden = true;
  }

  function report() {
    const busy = Boolean(model.get("busy"));
    const done = model.get("progress") ?? -1;
    say(status, model.get("status"));
    activity.hidden = !busy;
    offerCancel(busy);
    put(track, "class", `ck-progress${busy ? " ck-busy" : ""}${done < 0 ? " ck-unknown" : ""}`);
    put(track, "aria-hidden", busy ? null : "true");
    put(track, "aria-valuenow", done < 0 ? null : Math.round(done * 100));
    progress.style.width = done < 0 ? "" : percent(done);
    const trouble = model.get("error") ?? "";
    box.hidden = trouble === "";
    say(error, trouble);
  }

  update();
  report();
  const stops = [
    watch(model, ["state", "steps", "design"], update),
    watch(model, ["status", "busy", "progress", "error"], report),
    models.stop,
    budget.render({ model, el: totals }),
    () => clearTimeout(patience),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
