// @ts-check
// The button with the model's name, and the popover in which one finds another: by name, kind, family and size.

/** @type {Record<string, string>} */
const KINDS = { trained: "", mobile: "under 1 G MACs", video: "clips", tokens: "transformers" };
/** @type {Record<string, string>} */
const MEANT = { pretrained: "trained", phone: "mobile", clip: "video", clips: "video", videos: "video", transformer: "tokens", transformers: "tokens", attention: "tokens", token: "tokens" };
/** @type {Record<string, number>} */
const UNITS = { k: 1e3, m: 1e6, g: 1e9, b: 1e9, t: 1e12 };
const WHAT = "params?|parameters?|weights|macs?|px|pixels?|input";
const LIMIT = new RegExp(`(?:\\b(${WHAT})\\s*)?(<=?|>=?|\\bunder\\b|\\bbelow\\b|\\bover\\b|\\babove\\b)\\s*(\\d+(?:\\.\\d+)?)\\s*(?:(k|m|g|b|t)\\b)?\\s*(?:(${WHAT})\\b)?`, "gi");
const SIDE = /\b(\d{2,4})\s*(?:px|pixels)\b/gi;

// "ResNet-50", "resnet 50" and "resnet50" all find resnet50.
const plain = (/** @type {string} */ text) => text.toLowerCase().replace(/[^a-z0-9.]+/g, "");

/** How many letters differ: added, left out, changed, or two swapped. @type {(a: string, b: string) => number} */
function distance(a, b) {
  const rows = [Array.from({ length: b.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= a.length; i++) {
    rows[i] = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? rows[i - 2][j - 2] + 1 : Infinity;
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + same, swap);
    }
  }
  return rows[a.length][b.length];
}

/** The nearest of some words, the nearest first; a word that is still being typed is near what it begins. */
function nearest(/** @type {string} */ word, /** @type {string[]} */ known, most = 2) {
  const far = (/** @type {string} */ other) =>
    Math.min(distance(word, plain(other)), word.length > 4 ? distance(word, plain(other).slice(0, word.length)) + 0.5 : Infinity);
  const all = known.map((other) => ({ other, far: far(other) })).filter((item) => item.far <= most);
  return all.sort((a, b) => a.far - b.far).map((item) => item.other);
}

/** @type {(read: RegExpMatchArray) => Term} */
function limitOf(read) {
  const [text, before, sign, digits, unit, after] = read;
  const said = (before ?? after ?? "").toLowerCase();
  const what = /^(px|pix|inp)/.test(said) ? "side" : /^mac/.test(said) || (!said && /^[gt]$/i.test(unit ?? "")) ? "macs" : "params";
  const n = Number(digits) * (what === "side" ? 1 : UNITS[(unit ?? "m").toLowerCase()]);
  const below = /^(<|under|below)/i.test(sign);
  const words = what === "side" ? `${digits} px` : `${digits} ${unit === "k" ? "k" : (unit ?? "M").toUpperCase()}`;
  return {
    text,
    label: { side: "input", macs: "MACs", params: "parameters" }[what],
    detail: `${below ? "under" : "over"} ${words}`,
    limit: below ? { [what]: n } : {},
    test(model) {
      const has = model[/** @type {"side" | "macs" | "params"} */ (what)];
      return has !== null && (below ? has < n || (sign === "<=" && has === n) : has > n || (sign === ">=" && has === n));
    },
  };
}

/** One word: a kind, a family, a part of a name, or what is nearly that. @type {(word: string, models: ListedModel[]) => Term} */
function meaning(word, models) {
  const lower = word.toLowerCase();
  const families = [...new Set(models.map((model) => model.family))];
  const kind = MEANT[lower] ?? lower;
  if (kind in KINDS) return { text: word, label: kind, detail: KINDS[kind], test: (model) => model.kinds.includes(kind) };
  const family = families.find((name) => name.toLowerCase() === lower);
  if (family) return { text: word, label: family, detail: "family", test: (model) => model.family === family };
  const squeezed = plain(word);
  const named = (/** @type {ListedModel} */ model) => model.name.toLowerCase().includes(lower) || (squeezed !== "" && plain(model.name).includes(squeezed));
  if (models.some(named)) return { text: word, test: named };
  const names = models.map((model) => model.name);
  const known = [...Object.keys(KINDS), ...Object.keys(MEANT), ...families, ...names, ...names.flatMap((name) => name.split(/[_,\s]+/))];
  const meant = squeezed.length > 2 ? nearest(squeezed, known.filter((other) => plain(other).length > 3))[0] : undefined;
  if (meant === undefined) return { text: word, unknown: true, test: () => false };
  return { ...meaning(meant, models), text: word, label: meant, detail: `for “${word}”` };
}

/** What a person typed, as the terms that all have to hold. @type {(query: string, models: ListedModel[]) => Term[]} */
function read(query, models) {
  /** @type {Term[]} */
  const terms = [];
  const take = (/** @type {RegExpMatchArray} */ found, /** @type {Term} */ term) => terms.push({ ...term, text: found[0] });
  let rest = query.replace(LIMIT, (...found) => (take(/** @type {any} */ (found), limitOf(/** @type {any} */ (found))), " "));
  rest = rest.replace(SIDE, (...found) => {
    const side = Number(found[1]);
    take(/** @type {any} */ (found), { text: found[0], label: "input", detail: `${side} px`, test: (model) => model.side === side });
    return " ";
  });
  const words = rest.split(/[\s,]+/).filter(Boolean);
  // "resnet 50" is one name
  const whole = plain(words.join(""));
  if (words.length > 1 && models.some((model) => plain(model.name) === whole)) {
    return [...terms, { text: words.join(" "), test: (model) => plain(model.name) === whole }];
  }
  const at = (/** @type {Term} */ term) => query.indexOf(term.text);
  return [...terms, ...words.map((word) => meaning(word, models))].sort((a, b) => at(a) - at(b));
}

/** A model as a row: name, mark, and what it costs, with bars. */
function option(/** @type {(name: string, beside: boolean) => void} */ choose, /** @type {ListedModel} */ first) {
  const name = h("span", { class: "ck-option-name", text: first.name });
  const mark = h("span", { class: "ck-chip" });
  const figures = /** @type {const} */ (["params", "macs"]).map((what) => {
    const value = h("span", { class: "ck-value" });
    const line = bar();
    return { what, value, line };
  });
  const input = h("span", { class: "ck-soft ck-option-input", text: first.input });
  const node = h("div", { class: "ck-option", role: "option", id: unique(), "aria-label": first.name }, name, h("span", {}, mark), ...figures.flatMap(({ value, line }) => [value, line.node]), input);
  node.dataset.name = first.name;
  node.addEventListener("click", (event) => choose(first.name, event.shiftKey));
  return {
    node,
    update(/** @type {ListedModel & { scale: Record<string, number> }} */ now) {
      mark.hidden = !now.mark;
      say(mark, now.mark);
      const kind = { trained: "trained", "your module": "own" }[now.mark] ?? "untrained";
      put(mark, "class", `ck-chip ck-chip-${kind}`);
      put(node, "aria-description", [now.mark, `${now.params_text} parameters`, `${now.macs_text} MACs`, now.input].filter(Boolean).join(", "));
      for (const { what, value, line } of figures) {
        say(value, now[`${what}_text`]);
        line.update((now[what] ?? 0) / (now.scale[what] || 1));
      }
    },
  };
}

/** @type {(props: Props<BarTraits>) => Picker} */
function render({ model, el }) {
  const id = unique();
  /** @type {string[]} */
  let shown = []; // the options, in order
  /** @type {string | undefined} */
  let active; // the name that Enter would choose
  const state = () => model.get("state") ?? {};
  const models = () => model.get("models") ?? [];

  const name = h("span", { class: "ck-model-name" });
  const kind = h("span", { class: "ck-model-family" });
  const button = h("button", { type: "button", class: "ck-model", "aria-haspopup": "dialog", "aria-expanded": "false" }, name, kind, h("span", { class: "ck-caret", "aria-hidden": "true", text: "▾" }));
  const search = h("input", {
    type: "text", class: "ck-input", role: "combobox", placeholder: "Name, or: mobile < 10 M, video, trained, 224 px", "aria-label": "Search models",
    "aria-autocomplete": "list", "aria-expanded": "true", "aria-controls": id, autocomplete: "off", spellcheck: "false", on: { input: () => filter(true), keydown: onKey },
  });
  const count = h("span", { class: "ck-soft ck-small ck-picker-count", role: "status" });
  const understood = h("div", { class: "ck-understood", role: "group", "aria-label": "Read as" });
  const kinds = h("div", { class: "ck-families", role: "group", "aria-label": "Kind or family" });
  const head = h("div", { class: "ck-picker-head ck-small ck-soft", "aria-hidden": "true" }, ...["model", "", "parameters", "", "MACs", "", "input"].map((text) => h("span", { text })));
  const options = h("div", { class: "ck-models", id, role: "listbox", "aria-label": "Models", tabindex: "-1" });
  const nothing = h("div", { class: "ck-nothing" });
  const hint = h("div", { class: "ck-picker-foot ck-soft ck-small" });
  // In the top layer nothing clips it; "auto" closes it on Escape and on a click outside.
  const popover = h("div", { class: "ck-picker", popover: "auto", role: "dialog", "aria-label": "Choose a model" }, h("div", { class: "ck-picker-search" }, search, count), understood, kinds, head, options, nothing, hint);
  button.popoverTargetElement = popover;
  el.replaceChildren(button, popover);

  // Under the button, or above it where there is more room.
  function place() {
    const at = button.getBoundingClientRect();
    const below = innerHeight - at.bottom - 16;
    const above = at.top - 16;
    const up = below < 260 && above > below;
    popover.style.left = `${clamp(at.left, 8, Math.max(8, innerWidth - popover.offsetWidth - 8))}px`;
    popover.style.top = up ? "auto" : `${at.bottom + 4}px`;
    popover.style.bottom = up ? `${innerHeight - at.top + 4}px` : "auto";
    popover.style.maxHeight = `${clamp(up ? above : below, 180, 600)}px`;
  }

  popover.addEventListener("beforetoggle", (event) => {
    if (event.newState !== "open") return;
    search.value = "";
    active = state().name;
    filter(false);
  });
  popover.addEventListener("toggle", (event) => {
    const open = event.newState === "open";
    put(button, "aria-expanded", open ? "true" : "false");
    if (!open) return unfollow();
    place();
    search.focus({ preventScroll: true });
    reveal("center");
    addEventListener("scroll", place, true);
    addEventListener("resize", place);
  });

  function unfollow() {
    removeEventListener("scroll", place, true);
    removeEventListener("resize", place);
  }

  // Another search, as if typed.
  function ask(/** @type {string} */ query) {
    search.value = query.replace(/\s+/g, " ").trim();
    filter(true);
  }

  // `fresh`: the reader has typed or pressed a chip, so that the first that is left is the one meant.
  function filter(/** @type {boolean} */ fresh) {
    const all = models();
    const terms = read(search.value, all);
    const fits = (/** @type {ListedModel} */ item) => terms.every((term) => term.test(item));
    const rows = all.filter((item) => item.mark === "your module" || fits(item));
    const hits = rows.filter(fits).map((item) => item.name);
    const limits = Object.assign({}, ...terms.map((term) => term.limit ?? {}));
    const most = (/** @type {"params" | "macs"} */ what) => limits[what] ?? Math.max(1, ...rows.map((item) => item[what] ?? 0));
    const scale = { params: most("params"), macs: most("macs") };
    shown = rows.map((item) => item.name);
    if (fresh || !active || !shown.includes(active)) active = !search.value && hits.includes(state().name ?? "") ? state().name : hits[0];
    const groups = [...new Set(rows.map((item) => item.family))].map((family) => ({ family, items: rows.filter((item) => item.family === family).map((item) => ({ ...item, scale })) }));
    follow(options, groups, (group) => group.family, createGroup);
    showTerms(terms);
    showKinds(terms, all);
    say(count, search.value ? `${hits.length} of ${all.length}` : `${all.length} models`);
    showNothing(hits.length ? null : terms);
    mark();
    if (fresh) reveal();
  }

  function createGroup(/** @type {{ family: string }} */ group) {
    const many = h("span", { class: "ck-soft" });
    const title = h("div", { class: "ck-models-family", "aria-hidden": "true" }, h("b", { text: group.family }), " ", many);
    const items = h("div");
    return {
      node: h("div", { role: "group", "aria-label": group.family }, title, items),
      update(/** @type {{ family: string, items: (ListedModel & { scale: Record<string, number> })[] }} */ now) {
        const own = now.items[0].mark === "your module";
        const of = models().filter((item) => item.family === now.family).length;
        say(many, own ? "always here, whatever is searched" : of === now.items.length ? String(of) : `${now.items.length} of ${of}`);
        follow(items, now.items, (item) => item.name, (item) => option(choose, item));
      },
    };
  }

  // What was understood, each part to be taken away again.
  function showTerms(/** @type {Term[]} */ terms) {
    const told = terms.filter((term) => term.label);
    understood.hidden = told.length === 0;
    understood.replaceChildren(h("span", { class: "ck-soft ck-small", text: "read as" }), ...told.map((term) => {
      const away = h("button", { type: "button", class: "ck-term", "aria-label": `Take away ${term.label} ${term.detail}` }, h("b", { text: term.label }), ` ${term.detail ?? ""} `, h("span", { "aria-hidden": "true", text: "×" }));
      away.addEventListener("click", () => (search.focus({ preventScroll: true }), ask(search.value.replace(term.text, " "))));
      return away;
    }));
  }

  function showKinds(/** @type {Term[]} */ terms, /** @type {ListedModel[]} */ all) {
    const families = [...new Set(all.filter((item) => item.mark !== "your module").map((item) => item.family))];
    const pressed = (/** @type {string} */ item) => (item === "all" ? !search.value.trim() : terms.some((term) => term.label === item));
    follow(kinds, ["all", ...Object.keys(KINDS), ...families], (item) => item, (item) => {
      const chip = h("button", { type: "button", class: "ck-family", text: item });
      chip.addEventListener("click", () => {
        const there = read(search.value, models()).find((term) => term.label === item);
        ask(item === "all" ? "" : there ? search.value.replace(there.text, " ") : `${search.value} ${item}`);
      });
      return { node: chip };
    });
    for (const chip of kinds.children) put(chip, "aria-pressed", pressed(chip.textContent ?? "") ? "true" : "false");
  }

  function showNothing(/** @type {Term[] | null} */ terms) {
    nothing.hidden = !terms;
    head.hidden = terms !== null && shown.length === 0;
    if (!terms) return nothing.replaceChildren();
    const unknown = terms.find((term) => term.unknown);
    const names = models().map((item) => item.name);
    const near = unknown ? nearest(plain(unknown.text), names, 99).slice(0, 3) : [];
    nothing.replaceChildren(
      h("p", { text: unknown ? `Nothing is called “${unknown.text}”. Nearest: ` : "No model is all of that at once: take one of it away." },
        ...near.flatMap((other) => [h("button", { type: "button", class: "ck-key-near", text: other, on: { click: () => (search.focus(), ask(other)) } }), " "])),
      h("p", { class: "ck-soft" }, "A model of your own, or any nn.Module, opens with ", h("code", { text: "ck.explore(module)" }), "."),
    );
  }

  function mark() {
    let found = null;
    for (const node of /** @type {NodeListOf<HTMLElement>} */ (options.querySelectorAll("[role=option]"))) {
      const here = node.dataset.name === active;
      node.classList.toggle("ck-active", here);
      put(node, "aria-selected", node.dataset.name === state().name ? "true" : "false");
      if (here) found = node;
    }
    put(search, "aria-activedescendant", found?.id);
    const fetched = models().find((item) => item.name === active)?.install;
    hint.replaceChildren(...(fetched ? [`trained weights of ${active}: `, h("code", { text: fetched })] : ["↑ ↓ move · ↵ open · ⇧ ↵ compare: beside this one · esc close · any nn.Module: ", h("code", { text: "ck.explore(module)" })]));
  }

  function reveal(/** @type {"nearest" | "center"} */ block = "nearest") {
    // Scrolls the list alone: scrollIntoView would move the notebook too.
    const node = options.querySelector(".ck-active");
    if (!node) return;
    const at = node.getBoundingClientRect();
    const box = options.getBoundingClientRect();
    if (block === "center") options.scrollTop += at.top - box.top - (box.height - at.height) / 2;
    else if (at.top < box.top + 24) options.scrollTop += at.top - box.top - 24;
    else if (at.bottom > box.bottom) options.scrollTop += at.bottom - box.bottom;
  }

  function onKey(/** @type {KeyboardEvent} */ event) {
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    if (event.key in steps && shown.length) {
      active = shown[clamp(shown.indexOf(active ?? "") + steps[event.key], 0, shown.length - 1)];
      mark();
      reveal();
    } else if (event.key === "Enter") {
      if (active) choose(active, event.shiftKey);
    } else {
      return;
    }
    event.preventDefault();
  }

  // On the screen, or beside the one that is there.
  function choose(/** @type {string} */ chosen, /** @type {boolean} */ beside) {
    popover.hidePopover();
    button.focus({ preventScroll: true });
    send(model, beside ? { type: "compare_add", model: chosen } : { type: "choose", name: chosen });
  }

  function update() {
    const { name: now = "", family: of = "" } = state();
    say(name, now);
    say(kind, of);
    put(button, "aria-label", `Model ${now}, ${of}`);
    put(button, "title", now);
    if (popover.matches(":popover-open")) filter(false);
  }

  update();
  const stop = watch(model, ["state", "models"], update);
  return { focus: () => button.focus({ preventScroll: true }), stop: () => (unfollow(), stop()) };
}

export default { render };
