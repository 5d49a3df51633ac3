// @ts-check
// The places that move one channel most, in many pictures, cut out by what its unit sees.

/** @param {{ model: Model<FeatureTraits> }} props */
function render({ model }) {
  let asked = ""; // for what the page has asked by itself
  /** @type {UnitPatches | null} */
  let now = null;

  const source = choice("in", (id) => send(model, { type: "features_source", source: id, folder: now?.folder ?? "" }));
  put(source.select, "aria-label", "where patches are looked for");
  const note = h("div", { class: "ck-soft ck-small ck-patches-note" });
  const folder = h("input", { class: "ck-input", type: "text", placeholder: "path of a folder of pictures, then Enter", "aria-label": "Folder of pictures", autocomplete: "off", spellcheck: "false" });
  const list = h("div", { class: "ck-patches" });
  const ask = h("button", { type: "button", class: "ck-button", text: "Find them", on: { click: () => send(model, { type: "features_patches" }) } });
  const sentence = h("span");
  const hint = h("div", { class: "ck-patches-hint ck-soft" }, sentence, ask);
  const lead = h("div", { class: "ck-lead" }, h("h4", { class: "ck-title", text: "Its strongest patches" }), source.node);
  const node = h("section", {}, lead, note, folder, list, hint);

  folder.addEventListener("keydown", (event) => {
    if (event.key === "Enter") send(model, { type: "features_source", source: "folder", folder: folder.value });
  });

  const buttons = () => [...list.querySelectorAll("button")];

  // Tab reaches one patch, the arrows the others.
  function reach(/** @type {number} */ index, move = false) {
    buttons().forEach((button, i) => put(button, "tabindex", i === index ? "0" : "-1"));
    if (move) buttons()[index]?.focus();
  }

  list.addEventListener("keydown", (event) => {
    const columns = getComputedStyle(list).gridTemplateColumns.split(" ").length;
    const step = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -Infinity, End: Infinity })[event.key];
    const at = buttons().findIndex((button) => button === focused(list));
    if (!step || at < 0) return;
    reach(clamp(at + step, 0, buttons().length - 1), true);
    event.preventDefault();
  });

  function createPatch() {
    let index = 0;
    const image = h("img", { alt: "", draggable: "false" });
    const dot = h("span", { class: "ck-patch-dot" });
    const name = h("span", { class: "ck-patch-name" });
    const value = h("span");
    const caption = h("span", { class: "ck-patch-caption" }, name, value);
    const button = h("button", { type: "button", class: "ck-patch" }, h("span", { class: "ck-patch-box" }, image, dot), caption);
    button.addEventListener("click", () => send(model, { type: "features_patch", index }));
    return {
      node: button,
      update(/** @type {UnitPatch} */ patch, /** @type {number} */ i) {
        index = i;
        put(image, "src", patch.source.startsWith("data:image/") ? patch.source : null);
        dot.hidden = !patch.dot;
        if (patch.dot) [dot.style.left, dot.style.top] = patch.dot.map(percent);
        say(name, patch.name);
        say(value, ` · ${figure(patch.value)}`);
        put(button, "title", `Go to this place in ${patch.name}`);
        put(button, "aria-current", patch.chosen ? "true" : null);
      },
    };
  }

  /** @type {(block: string, patches: UnitPatches | null) => void} */
  function show(block, patches) {
    now = patches;
    node.hidden = !patches;
    if (!patches) return;
    const busy = Boolean(model.get("busy"));
    const key = [block, patches.source, patches.folder].join("\n");
    if (patches.count === null && patches.auto && asked !== key && !busy) {
      asked = key;
      send(model, { type: "features_patches" });
    }
    source.update(patches.sources, patches.source);
    folder.hidden = patches.source !== "folder";
    if (folder !== focused(node)) folder.value = patches.folder;
    say(note, patches.note);
    note.hidden = !patches.note;
    follow(list, patches.items, (patch) => `${patch.name} ${patch.at}`, createPatch);
    reach(Math.max(0, buttons().findIndex((button) => button.tabIndex === 0)));
    hint.hidden = patches.count !== null || (patches.source === "folder" && !patches.folder);
    say(sentence, busy ? "Looking through the pictures …" : "What moves this channel most has not been looked for yet.");
    ask.hidden = busy;
  }

  return { node, show, forget: () => void (asked = "") };
}

export default { render };
