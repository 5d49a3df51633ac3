// @ts-check
// The chosen block: what goes in and comes out, what it costs, and the heads that can be attached to it.

/** @param {Props<PanelTraits>} props */
function render({ model, el }) {
  dress(el, "ck-panel");
  const group = unique();
  /** @type {string | null} */
  let chosen = null; // the head that the reader picked
  /** @type {string | null} */
  let typed = null; // the number of classes as typed; null: nothing typed yet
  /** @type {Record<string, Record<string, unknown>>} */
  const wanted = {}; // {kind of head: {key: value}}, where they are not as usual

  const title = h("h3", { class: "ck-panel-title" });
  const type = h("div", { class: "ck-soft ck-wrap" });
  const input = h("span", { class: "ck-soft" });
  const arrow = h("span", { class: "ck-soft", "aria-label": "to", role: "img", text: "→" });
  const output = h("b");
  const stride = h("span", { class: "ck-soft" });
  const shapes = h("div", { class: "ck-shapes" }, input, arrow, output, stride);
  const rows = h("div", { class: "ck-rows" });
  const sees = h("div", { class: "ck-soft ck-wrap ck-sees", title: "the receptive field of one position of its output" });
  const cards = h("div", { class: "ck-cards", role: "radiogroup", "aria-label": "Head" });
  const unfit = h("div", { class: "ck-cards" });
  const unfitTitle = h("summary", { class: "ck-soft" });
  const unfitting = h("details", { class: "ck-more" }, unfitTitle, unfit);
  const keys = h("div", { class: "ck-keys" });
  const keysTitle = h("summary", { class: "ck-soft" });
  const more = h("details", { class: "ck-more" }, keysTitle, keys);
  const classes = h("input", {
    class: "ck-input",
    type: "text",
    inputmode: "numeric",
    autocomplete: "off",
    on: { input: () => ((typed = classes.value), buttonText()), keydown: onEnter },
  });
  const name = h("input", {
    class: "ck-input",
    type: "text",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "name (optional)",
    on: { keydown: onEnter },
  });
  const attach = h("button", { type: "button", class: "ck-button ck-primary", on: { click: onAttach } });
  const form = h(
    "div",
    { class: "ck-attach" },
    h("h4", { class: "ck-panel-heading", text: "Attach a head here" }),
    cards,
    unfitting,
    h(
      "div",
      { class: "ck-fields" },
      h("label", { class: "ck-field ck-field-classes" }, h("span", { text: "Classes" }), classes),
      h("label", { class: "ck-field" }, h("span", { text: "Name" }), name),
    ),
    more,
    attach,
  );
  const heads = h("div", { class: "ck-heads" });
  const body = h("div", {}, title, type, shapes, rows, sees, form, heads);
  const hint = h("p", { class: "ck-soft ck-panel-hint", text: "Choose a block in the map to see what it does." });
  el.replaceChildren(hint, body);

  const state = () => model.get("state") ?? {};
  const fitting = () => (state().heads ?? []).filter((head) => head.fits);
  const current = () => fitting().find((head) => head.name === chosen) ?? fitting()[0];

  function onAttach() {
    const head = current();
    if (!head) return;
    const message = { type: "attach", head: head.name, num_classes: classes.value, unique_id: name.value };
    send(model, { ...message, keys: wanted[head.name] ?? {} });
  }

  function onEnter(/** @type {KeyboardEvent} */ event) {
    if (event.key === "Enter") onAttach();
  }

  function buttonText() {
    const count = classes.value.trim();
    say(attach, count ? `Attach · ${count} ${count === "1" ? "class" : "classes"}` : "Attach");
    put(attach, "aria-disabled", current() ? null : "true");
  }

  function createRow() {
    const part = h("span", { class: "ck-value ck-soft ck-small", title: "share of the whole model" });
    const { node, update } = row(part);
    return {
      node,
      update(/** @type {Cost} */ now) {
        update(now);
        say(part, now.percent);
      },
    };
  }

  // A native radio lies over its card: it brings the keyboard and the names.
  function createCard(/** @type {HeadChoice} */ head) {
    const radio = h("input", { type: "radio", name: group, value: head.name, class: "ck-radio" });
    const label = h("span");
    const detail = h("span", { class: "ck-card-detail" });
    const node = h("label", { class: "ck-card" }, radio, label, " ", detail);
    radio.addEventListener("change", () => {
      chosen = head.name;
      showKeys();
      buttonText();
    });
    return {
      node,
      update(/** @type {HeadChoice} */ now) {
        say(label, now.title);
        say(detail, now.detail);
        put(radio, "aria-label", now.title);
        put(radio, "aria-description", now.detail);
        radio.disabled = !now.fits;
        put(radio, "aria-disabled", now.fits ? null : "true");
        node.classList.toggle("ck-unfit", !now.fits);
        radio.checked = current()?.name === now.name;
      },
    };
  }

  // What else the chosen kind of head can be told, before there is one.
  function showKeys() {
    const kind = current()?.name ?? "";
    const values = (wanted[kind] ??= {});
    const acts = {
      turn: (/** @type {string} */ key, /** @type {unknown} */ value) => ((values[key] = value), showKeys()),
      reset: (/** @type {string} */ key) => (delete values[key], showKeys()),
      live: false,
    };
    const list = (model.get("heads")?.kinds?.[kind] ?? []).map((key) => {
      const value = values[key.name];
      if (value === undefined) return key;
      return { ...key, value, text: typeof value === "boolean" ? (value ? "True" : "False") : String(value), changed: true };
    });
    follow(keys, list, (key) => `${kind} ${key.name}`, (key) => keyRow(key, acts));
    more.hidden = list.length === 0;
    say(keysTitle, `${list.length} more ${list.length === 1 ? "key" : "keys"}`);
  }

  function update() {
    const now = state();
    body.hidden = !now.name;
    hint.hidden = Boolean(now.name);
    say(title, now.name);
    say(type, now.type);
    say(input, now.input);
    say(output, now.output);
    say(stride, now.stride);
    shapes.hidden = !now.output;
    say(sees, now.sees);
    sees.hidden = !now.sees;
    input.hidden = arrow.hidden = !now.input;
    follow(rows, now.rows ?? [], (cost) => cost.label, createRow);
    const misfits = (now.heads ?? []).filter((head) => !head.fits);
    follow(cards, fitting(), (head) => head.name, createCard);
    follow(unfit, misfits, (head) => head.name, createCard);
    unfitting.hidden = misfits.length === 0;
    say(unfitTitle, `${misfits.length} ${misfits.length === 1 ? "head does" : "heads do"} not fit here`);
    showKeys();
    form.hidden = !(now.heads ?? []).length;
    if (typed === null && classes !== focused(el)) classes.value = String(now.num_classes ?? "");
    // The name has been used: the next head needs another.
    if (name.value && (now.attached ?? []).some((head) => head.id === name.value.trim())) name.value = "";
    buttonText();
  }

  heads.addEventListener("ck-emptied", () => attach.focus({ preventScroll: true }));
  update();
  const stops = [watch(model, ["state", "heads"], update), heads_panel.render({ model, el: heads })];
  return () => stops.forEach((stop) => stop());
}

export default { render };
