// @ts-check
// What the model is and what it costs: the model picker, facts, device, totals, status and errors.

// "ResNet-50", "resnet 50" and "resnet50" all find resnet50.
const plain = (/** @type {string} */ text) => text.toLowerCase().replace(/[^a-z0-9.]+/g, "");

/** @type {(name: string, family: string, query: string) => boolean} */
function matches(name, family, query) {
  const hay = `${name} ${family}`.toLowerCase();
  const squeezed = plain(name);
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return words.every((word) => hay.includes(word)) || (plain(query) !== "" && squeezed.includes(plain(query)));
}

// The button with the model's name, and the popover in which one finds another.
function picker(/** @type {Model<BarTraits>} */ model) {
  const list = unique();
  /** @type {string | null} */
  let family = null; // the family whose chip is pressed
  /** @type {string[]} */
  let shown = []; // the options that pass the filters, in order
  /** @type {string | undefined} */
  let active; // the name that Enter would choose

  const state = () => model.get("state") ?? {};

  const name = h("span", { class: "ck-model-name" });
  const kind = h("span", { class: "ck-model-family" });
  const button = h(
    "button",
    { type: "button", class: "ck-model", "aria-haspopup": "dialog", "aria-expanded": "false" },
    name,
    kind,
    h("span", { class: "ck-caret", "aria-hidden": "true", text: "▾" }),
  );
  const search = h("input", {
    type: "search",
    class: "ck-input",
    role: "combobox",
    placeholder: "Search models",
    "aria-label": "Search models",
    "aria-autocomplete": "list",
    "aria-expanded": "true",
    "aria-controls": list,
    autocomplete: "off",
    spellcheck: "false",
    on: { input: () => filter(true), keydown: onKey },
  });
  const chips = h("div", { class: "ck-families", role: "group", "aria-label": "Family" });
  const options = h("div", { class: "ck-models", id: list, role: "listbox", "aria-label": "Models" });
  const nothing = h("div", { class: "ck-nothing ck-soft", role: "status" });
  // In the top layer nothing clips it; "auto" closes it on Escape and on a click outside.
  const popover = h(
    "div",
    { class: "ck-picker", popover: "auto", role: "dialog", "aria-label": "Choose a model" },
    search,
    chips,
    options,
    nothing,
  );
  button.popoverTargetElement = popover;

  // Under the button, or above it where there is more room.
  function place() {
    const at = button.getBoundingClientRect();
    const below = innerHeight - at.bottom - 16;
    const above = at.top - 16;
    const up = below < 260 && above > below;
    popover.style.left = `${clamp(at.left, 8, Math.max(8, innerWidth - popover.offsetWidth - 8))}px`;
    popover.style.top = up ? "auto" : `${at.bottom + 4}px`;
    popover.style.bottom = up ? `${innerHeight - at.top + 4}px` : "auto";
    popover.style.maxHeight = `${clamp(up ? above : below, 180, 440)}px`;
  }

  popover.addEventListener("beforetoggle", (event) => {
    if (event.newState !== "open") return;
    search.value = "";
    family = null;
    active = state().name;
    filter(false);
  });
  popover.addEventListener("toggle", (event) => {
    const open = event.newState === "open";
    put(button, "aria-expanded", open ? "true" : "false");
    if (open) {
      place();
      search.focus({ preventScroll: true });
      reveal("center");
      addEventListener("scroll", place, true);
      addEventListener("resize", place);
    } else {
      unfollow();
    }
  });

  function unfollow() {
    removeEventListener("scroll", place, true);
    removeEventListener("resize", place);
  }

  // `fresh`: the reader has typed or pressed a chip, so that the first that is left is the one meant.
  function filter(/** @type {boolean} */ fresh) {
    const groups = (state().groups ?? [])
      .filter((group) => family === null || group.family === family)
      .map((group) => ({
        family: group.family,
        models: group.models.filter((item) => matches(item, group.family, search.value.trim())),
      }))
      .filter((group) => group.models.length);
    shown = groups.flatMap((group) => group.models);
    const now = state().name;
    if (fresh || !active || !shown.includes(active)) active = now && shown.includes(now) && !search.value ? now : shown[0];
    follow(
      chips,
      [null, ...(state().groups ?? []).map((group) => group.family)],
      (item) => item ?? "",
      (item) => {
        const chip = h("button", { type: "button", class: "ck-family", text: item ?? "all" });
        chip.addEventListener("click", () => {
          family = item;
          filter(true);
          reveal();
        });
        return { node: chip, update: () => put(chip, "aria-pressed", item === family ? "true" : "false") };
      },
    );
    follow(
      options,
      groups,
      (group) => group.family,
      (group) => {
        const title = h("div", { class: "ck-models-family", "aria-hidden": "true", text: group.family });
        const items = h("div");
        const node = h("div", { role: "group", "aria-label": group.family }, title, items);
        return {
          node,
          update: (/** @type {typeof group} */ now) =>
            follow(
              items,
              now.models,
              (item) => item,
              (item) => {
                const option = h("div", { class: "ck-option", role: "option", id: unique(), text: item });
                option.addEventListener("click", () => choose(item));
                option.dataset.name = item;
                return { node: option };
              },
            ),
        };
      },
    );
    say(nothing, shown.length ? "" : `No model matches “${search.value.trim()}”.`);
    mark();
    if (fresh) reveal();
  }

  function mark() {
    let found = null;
    for (const option of /** @type {NodeListOf<HTMLElement>} */ (options.querySelectorAll("[role=option]"))) {
      const here = option.dataset.name === active;
      option.classList.toggle("ck-active", here);
      put(option, "aria-selected", option.dataset.name === state().name ? "true" : "false");
      if (here) found = option;
    }
    put(search, "aria-activedescendant", found?.id);
  }

  function reveal(/** @type {"nearest" | "center"} */ block = "nearest") {
    // Scrolls the list alone: scrollIntoView would move the notebook too.
    const option = options.querySelector(".ck-active");
    if (!option) return;
    const at = option.getBoundingClientRect();
    const box = options.getBoundingClientRect();
    if (block === "center") options.scrollTop += at.top - box.top - (box.height - at.height) / 2;
    else if (at.top < box.top + 22) options.scrollTop += at.top - box.top - 22;
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
      if (active) choose(active);
    } else {
      return;
    }
    event.preventDefault();
  }

  function choose(/** @type {string} */ chosen) {
    popover.hidePopover();
    button.focus({ preventScroll: true });
    send(model, { type: "choose", name: chosen });
  }

  function update() {
    const { name: now = "", family: of = "" } = state();
    say(name, now);
    say(kind, of);
    put(button, "aria-label", `Model ${now}, ${of}`);
    put(button, "title", now);
    if (popover.matches(":popover-open")) filter(false);
  }

  return { node: h("span", { class: "ck-model-box" }, button, popover), update, close: unfollow, focus: () => button.focus({ preventScroll: true }) };
}

/**
 * Takes back what was done last, or does it again; says what that is.
 * @param {Model<BarTraits>} model
 * @param {"undo" | "redo"} what
 */
function step(model, what) {
  const path = what === "undo" ? "M3 6h6.5a3.5 3.5 0 0 1 0 7H6M3 6l3-3M3 6l3 3" : "M13 6H6.500a3.500 3.500 0 0 0 0 7H10M13 6l-3-3M13 6l-3 3";
  const sign = s("path", { d: path, fill: "none", stroke: "currentColor", "stroke-width": "1.5" });
  const node = h("button", { type: "button", class: "ck-icon" }, s("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true" }, sign));
  node.addEventListener("click", () => {
    if (model.get("steps")?.[what]) send(model, { type: what });
  });
  return {
    node,
    update() {
      const words = model.get("steps")?.[what] ?? "";
      const name = what === "undo" ? "Undo" : "Redo";
      put(node, "aria-label", words ? `${name}: ${words}` : name);
      put(node, "title", words ? `${name}: ${words}` : null);
      put(node, "aria-disabled", words ? null : "true");
    },
  };
}

/** @param {Props<BarTraits>} props */
function render({ model, el }) {
  dress(el, "ck-model-bar");
  const models = picker(model);
  const chip = h("span", { class: "ck-chip" });
  const facts = h("span", { class: "ck-soft" });
  const device = choice("Device", (id) => send(model, { type: "device", device: id }), { hideLabel: true });
  const totals = h("div", { class: "ck-totals" });
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
  const [undo, redo] = [step(model, "undo"), step(model, "redo")];

  el.replaceChildren(
    h(
      "div",
      { class: "ck-model-row" },
      h(
        "div",
        { class: "ck-model-main" },
        h("div", { class: "ck-model-facts" }, models.node, h("span", { class: "ck-steps" }, undo.node, redo.node), chip, h("span", { class: "ck-facts" }, facts, device.node)),
        h("div", { class: "ck-status" }, activity, status),
      ),
      totals,
    ),
    box,
    track,
  );

  function update() {
    const state = model.get("state") ?? {};
    models.update();
    undo.update();
    redo.update();
    chip.hidden = !state.name;
    put(chip, "class", `ck-chip ck-chip-${state.trained ? "trained" : "untrained"}`);
    say(chip, state.trained ? `trained · ${state.trained}` : "untrained");
    const devices = state.devices ?? [];
    say(facts, (state.facts ?? []).join(" · "));
    facts.classList.toggle("ck-dot", devices.length > 0 && facts.textContent !== "");
    device.node.hidden = devices.length === 0;
    device.update(devices, state.device);
    follow(
      totals,
      state.totals ?? [],
      (item) => item.label,
      () => {
        const value = h("span", { class: "ck-value" });
        const label = h("span", { class: "ck-label" });
        return {
          node: h("div", {}, label, value),
          update(/** @type {{ value: string, label: string }} */ item) {
            say(value, item.value);
            say(label, item.label);
          },
        };
      },
    );
  }

  function report() {
    const busy = Boolean(model.get("busy"));
    const done = model.get("progress") ?? -1;
    say(status, model.get("status"));
    activity.hidden = !busy;
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
    watch(model, ["state", "steps"], update),
    watch(model, ["status", "busy", "progress", "error"], report),
    models.close,
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
