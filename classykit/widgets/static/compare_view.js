// @ts-check
// The model on the screen beside others: which, their blocks stage by stage, what they see, what they cost.

/** @param {ViewProps<PaneTraits>} props */
function render({ model, el, tools, picture }) {
  /** @type {any} */
  let pane = null;
  let colour = "";
  const names = h("datalist", { id: unique() });
  const box = h("input", { class: "ck-input", type: "text", list: names.id, "aria-label": "Another model", placeholder: "a model, such as resnet50", autocomplete: "off", spellcheck: "false" });
  const more = h("button", { type: "submit", class: "ck-button", text: "+ model" });
  const form = h("form", { class: "ck-cmp-form" }, box, more, names);
  const preset = h("button", { type: "button", class: "ck-button", hidden: true });
  const models = h("ul", { class: "ck-cmp-models" });
  const hint = h("p", { class: "ck-soft", text: "See another model beside this one: its blocks stage by stage, what both make of one picture, and what each costs." });
  const line = h("div", { class: "ck-cmp-line" }, hint, models, form, preset);
  const [rows, grids, totals] = Array.from({ length: 3 }, () => h("div"));
  const run = h("button", { type: "button", class: "ck-button ck-primary", text: "Run", on: { click: () => send(model, { type: "compare_run" }) } });
  const ask = h("div", { class: "ck-cmp-ask" }, h("span", { class: "ck-soft", text: "What they see is there once they have run." }), run);
  const body = h("div", { hidden: true }, rows, ask, grids, totals);
  el.classList.add("ck-compare");
  el.replaceChildren(line, body);
  const map = compare_map.render({ model, el: rows });
  const features = compare_grids.render({ model, el: grids, picture });
  const figures = compare_totals.render({ model, el: totals });
  const colours = choice("colour", (id) => {
    colour = id;
    paint();
  });
  const order = choice("sort", (id) => send(model, { type: "order", order: id }));
  tools.replaceChildren(colours.node, order.node);

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = box.value.trim();
    if (name) send(model, { type: "compare_add", model: name });
  });
  preset.addEventListener("click", () => send(model, { type: "compare_add", model: pane.preset }));

  /** @type {(of: any) => Follower<any>} */
  function createModel(first) {
    let at = first.at;
    const letter = h("span", { class: "ck-letter" });
    const name = h("b");
    const variant = h("span", { class: "ck-soft ck-small" });
    const up = h("button", { type: "button", class: "ck-icon ck-cmp-first", text: "⇅", on: { click: () => send(model, { type: "compare_first", at }) } });
    const gone = h("button", { type: "button", class: "ck-icon", text: "×", on: { click: () => send(model, { type: "compare_remove", at }) } });
    return {
      node: h("li", {}, letter, name, variant, up, gone),
      update(/** @type {any} */ now) {
        at = now.at;
        say(letter, now.letter);
        say(name, now.name);
        say(variant, now.variant);
        up.hidden = gone.hidden = at === 0;
        put(up, "aria-label", `Put ${now.letter}, ${now.name}, on the screen, and A in its place`);
        put(up, "title", "make it the first");
        put(gone, "aria-label", `Remove ${now.letter}, ${now.name}`);
      },
    };
  }

  function paint() {
    if (!pane?.colors) return;
    const at = pane.colors.findIndex((/** @type {Choice} */ item) => item.id === colour);
    colours.update(pane.colors, pane.colors[Math.max(at, 0)].id);
    map.paint(Math.max(at, 0));
  }

  function offer() {
    const listed = /** @type {Model<any>} */ (model).get("models") ?? [];
    names.replaceChildren(...listed.map((/** @type {ListedModel} */ item) => h("option", { value: item.name })));
  }

  function update() {
    const now = model.get("pane");
    if (now?.tab !== "compare") return;
    const before = pane?.models.length ?? 0;
    pane = now;
    const together = Boolean(pane.stages);
    if (before && pane.models.length > before) box.value = ""; // not what was typed while the tab was still opening
    hint.hidden = together;
    line.classList.toggle("ck-cmp-empty", !together);
    body.hidden = !together;
    form.hidden = pane.full;
    say(preset, pane.preset ? `the preset, ${pane.preset}` : "");
    preset.hidden = !pane.preset || pane.full;
    tools.classList.toggle("ck-none", !together);
    const held = models.contains(focused(el));
    const swapped = focused(el)?.matches(".ck-cmp-first") ? [...models.children].findIndex((row) => row.contains(focused(el))) : -1;
    follow(
      models,
      together ? pane.models.map((/** @type {any} */ of, /** @type {number} */ at) => ({ ...of, at })) : [],
      (item) => /** @type {any} */ (item).name,
      createModel,
    );
    // the button stays where it was, though its model is another
    /** @type {HTMLElement | null | undefined} */ (models.children[swapped]?.querySelector(".ck-cmp-first"))?.focus({ preventScroll: true });
    if (held && !models.contains(focused(el))) box.focus({ preventScroll: true });
    if (!together) return;
    ask.hidden = pane.ran;
    say(run, pane.models.length > 2 ? "Run all" : "Run both");
    order.update(pane.orders.map((/** @type {string} */ id) => ({ id, label: id })), pane.order);
    map.update();
    paint();
    features.update(pane);
    figures.update(pane);
  }

  offer();
  update();
  const app = /** @type {Model<any>} */ (model);
  const stops = [watch(model, ["pane", "pane_pixels"], update), watch(app, ["models"], offer), map.stop, figures.stop];
  return () => stops.forEach((stop) => stop());
}

export default { render };
