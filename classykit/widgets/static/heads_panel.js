// @ts-check
// The heads: the model's own classifier, those that were attached, what each gave, and how it is changed.

/** @param {Props<PanelTraits>} props */
function render({ model, el }) {
  const own = ownClassifier(model);
  const list = h("ul", { class: "ck-attached" });
  el.replaceChildren(h("h4", { class: "ck-panel-heading", text: "Heads" }), own.node, list);
  /** @type {Map<string, string>} */
  const known = new Map(); // {a head's name: by what its row goes, which stays when it is renamed}
  let renamed = { from: "", to: "" };

  function rename(/** @type {string} */ from, /** @type {string} */ to) {
    renamed = { from, to };
    send(model, { type: "rename_head", id: from, name: to });
  }

  function rowOf(/** @type {AttachedHead} */ head) {
    if (!known.has(head.id)) {
      const before = head.id === renamed.to ? known.get(renamed.from) : undefined;
      known.set(head.id, before ?? unique());
      if (before) known.delete(renamed.from);
    }
    return known.get(head.id) ?? head.id;
  }

  function update() {
    const { own: classifier = null, attached = [] } = model.get("heads") ?? {};
    el.hidden = !classifier && attached.length === 0;
    own.update(classifier);
    const held = list.contains(focused(el)) ? /** @type {HTMLElement} */ (focused(el)) : null;
    follow(list, attached, rowOf, (head) => attachedHead(model, head, rename));
    for (const id of known.keys()) if (!attached.some((head) => head.id === id)) known.delete(id);
    if (held && !list.contains(focused(el))) {
      // A row that was moved keeps the focus; one that is gone leaves it to the next, or to the form above.
      const next = held.isConnected ? held : list.querySelector("button");
      if (next) /** @type {HTMLElement} */ (next).focus({ preventScroll: true });
      else el.dispatchEvent(new Event("ck-emptied"));
    }
  }

  update();
  return watch(model, ["heads", "state"], update);
}

function ownClassifier(/** @type {Model<PanelTraits>} */ model) {
  const name = h("b");
  const what = h("span", { class: "ck-soft ck-small" });
  const label = h("button", { type: "button", class: "ck-attached-name" }, name, " ", what);
  const chip = h("span", { class: "ck-chip" });
  const gives = bars();
  const node = h("div", { class: "ck-attached-head ck-own" }, h("div", { class: "ck-attached-row" }, label), chip, gives.node);
  label.addEventListener("click", () => send(model, { type: "select", block: name.textContent ?? "" }));
  return {
    node,
    update(/** @type {OwnClassifier | null} */ now) {
      node.hidden = !now;
      if (!now) return;
      say(name, now.id);
      say(what, ["its own classifier", now.classes].filter(Boolean).join(" · "));
      put(label, "title", `Go to ${now.id}`);
      put(chip, "class", `ck-chip ck-chip-${now.trained ? "trained" : "untrained"}`);
      say(chip, now.trained ? `trained · ${now.trained}` : "untrained");
      gives.update(now.bars, "");
    },
  };
}

// What a head gave in the last run.
function bars() {
  const rows = h("div", { class: "ck-rows" });
  const note = h("div", { class: "ck-soft ck-small" });
  return {
    node: h("div", { class: "ck-gave" }, rows, note),
    update(/** @type {Share[]} */ now, /** @type {string} */ words) {
      follow(rows, now, (item) => item.label, () => row());
      rows.hidden = now.length === 0;
      note.hidden = words === "";
      say(note, words);
    },
  };
}

/**
 * @param {Model<PanelTraits>} model
 * @param {AttachedHead} first
 * @param {(from: string, to: string) => void} rename
 * @returns {Follower<AttachedHead>}
 */
function attachedHead(model, first, rename) {
  let now = first;
  const id = h("b");
  const where = h("span", { class: "ck-soft ck-small" });
  const label = h("button", { type: "button", class: "ck-attached-name" }, id, " ", where);
  const editing = h("button", { type: "button", class: "ck-icon", "aria-expanded": "false", text: "✎" });
  const remove = h("button", { type: "button", class: "ck-icon", text: "×" });
  const chip = h("span", { class: "ck-chip ck-chip-untrained", text: "untrained" });
  const gives = bars();
  const row = h("div", { class: "ck-attached-row" }, label, editing, remove);
  const node = h("li", { class: "ck-attached-head" }, row, chip, gives.node);
  /** @type {ReturnType<typeof editor> | null} */
  let open = null;
  const here = () => model.get("state")?.name === now.block;

  label.addEventListener("click", () => {
    if (!here()) send(model, { type: "select", block: now.block });
  });
  remove.addEventListener("click", () => send(model, { type: "remove", id: now.id }));
  editing.addEventListener("click", () => {
    open?.node.remove();
    open = open ? null : editor(model, () => now, rename);
    if (open) node.append(open.node);
    put(editing, "aria-expanded", open ? "true" : "false");
    open?.update();
  });

  return {
    node,
    update(head) {
      now = head;
      say(id, head.id);
      say(where, [head.title, head.classes, here() ? null : `at ${head.block}`].filter(Boolean).join(" · "));
      put(label, "title", here() ? null : `Go to ${head.block}`);
      put(label, "aria-disabled", here() ? "true" : null);
      put(remove, "aria-label", `Remove head ${head.id}`);
      put(remove, "title", "Remove");
      put(editing, "aria-label", `Edit head ${head.id}`);
      put(editing, "title", "Edit, move, rename");
      chip.hidden = !head.untrained;
      node.classList.toggle("ck-here", here());
      gives.update(head.bars, head.note);
      open?.update();
    },
  };
}

/**
 * A head's name, place and keys. It is there only while somebody changes them.
 * @param {Model<PanelTraits>} model
 * @param {() => AttachedHead} head
 * @param {(from: string, to: string) => void} rename
 */
function editor(model, head, rename) {
  const name = h("input", { class: "ck-input", type: "text", autocomplete: "off", spellcheck: "false" });
  const write = typing(name, (value) => rename(head().id, value.trim()));
  const place = choice("Attached to", (block) => send(model, { type: "move_head", id: head().id, block }));
  const keys = h("div", { class: "ck-keys" });
  const acts = {
    turn: (/** @type {string} */ key, /** @type {unknown} */ value) => send(model, { type: "edit_head", id: head().id, key, value }),
    reset(/** @type {string} */ key) {
      const found = head().keys.find((item) => item.name === key);
      if (found) acts.turn(key, found.preset);
    },
    live: false, // each value is a head of its own
  };
  const node = h("div", { class: "ck-edit" }, h("label", { class: "ck-field" }, h("span", { text: "Name" }), name), place.node, keys);
  return {
    node,
    update() {
      const now = head();
      write(now.id);
      place.update(now.places.map(({ id, why }) => ({ id, label: why ? `${id}: ${why}` : id })), now.block);
      [...place.select.options].forEach((option, index) => (option.disabled = Boolean(now.places[index]?.why)));
      follow(keys, now.keys, (key) => `${key.name} ${key.kind}`, (key) => keyRow(key, acts));
    },
  };
}

export default { render };
