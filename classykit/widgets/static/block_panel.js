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
    h(
      "div",
      { class: "ck-fields" },
      h("label", { class: "ck-field ck-field-classes" }, h("span", { text: "Classes" }), classes),
      h("label", { class: "ck-field" }, h("span", { text: "Name" }), name),
    ),
    attach,
  );
  const attached = h("ul", { class: "ck-attached" });
  const heads = h("div", { class: "ck-heads" }, h("h4", { class: "ck-panel-heading", text: "Heads" }), attached);
  const body = h("div", {}, title, type, shapes, rows, sees, form, heads);
  const hint = h("p", { class: "ck-soft ck-panel-hint", text: "Choose a block in the map to see what it does." });
  el.replaceChildren(hint, body);

  const state = () => model.get("state") ?? {};
  const fitting = () => (state().heads ?? []).filter((head) => head.fits);
  const current = () => fitting().find((head) => head.name === chosen) ?? fitting()[0];

  function onAttach() {
    const head = current();
    if (!head) return;
    send(model, { type: "attach", head: head.name, num_classes: classes.value, unique_id: name.value });
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

  function createAttached(/** @type {AttachedHead} */ head) {
    let now = head;
    const id = h("b");
    const where = h("span", { class: "ck-soft ck-small" });
    const label = h("button", { type: "button", class: "ck-attached-name" }, id, " ", where);
    const remove = h("button", { type: "button", class: "ck-icon", text: "×", title: "Remove" });
    label.addEventListener("click", () => {
      if (!now.here) send(model, { type: "select", block: now.block });
    });
    remove.addEventListener("click", () => send(model, { type: "remove", id: now.id }));
    return {
      node: h("li", { class: "ck-attached-head" }, label, remove),
      update(/** @type {AttachedHead} */ item) {
        now = item;
        say(id, item.id);
        say(where, [item.title, item.classes, item.here ? null : `at ${item.block}`].filter(Boolean).join(" · "));
        put(label, "title", item.here ? null : `Go to ${item.block}`);
        put(label, "aria-disabled", item.here ? "true" : null);
        put(remove, "aria-label", `Remove head ${item.id}`);
        label.parentElement?.classList.toggle("ck-here", Boolean(item.here));
      },
    };
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
    follow(cards, now.heads ?? [], (head) => head.name, createCard);
    form.hidden = !(now.heads ?? []).length;
    if (typed === null && classes !== focused(el)) classes.value = String(now.num_classes ?? "");
    const list = now.attached ?? [];
    // The name has been used: the next head needs another.
    if (name.value && list.some((head) => head.id === name.value.trim())) name.value = "";
    const held = attached.contains(focused(el));
    follow(
      attached,
      [...list.filter((head) => head.here), ...list.filter((head) => !head.here)],
      (head) => head.id,
      createAttached,
    );
    heads.hidden = list.length === 0;
    // The head that had the focus is gone: the next has it, or the form that it came from.
    if (held && !attached.contains(focused(el))) (attached.querySelector("button") ?? attach).focus({ preventScroll: true });
    buttonText();
  }

  update();
  return watch(model, ["state"], update);
}

export default { render };
