// @ts-check
// What the model costs: totals, each of which can be given a limit, and how much of that the model is.

/** @type {Record<string, { words: string, example: string }>} */
const LIMITS = {
  params: { words: "parameters", example: "25M" },
  macs: { words: "MACs", example: "4 G" },
  memory: { words: "peak memory", example: "2 GB" },
};

/** @param {Props<BarTraits>} props */
function render({ model, el }) {
  el.classList.add("ck-totals");
  const dialog = limitDialog(model);
  const list = h("div", { class: "ck-totals-list" });
  el.replaceChildren(list, dialog.node);

  function createTotal(/** @type {Total} */ first) {
    const value = h("span", { class: "ck-value" });
    const label = h("span", { class: "ck-label" });
    const limit = h("span", { class: "ck-limit" });
    const text = [value, h("span", { class: "ck-total-label" }, label, " ", limit)];
    if (!first.id) {
      return { node: h("div", { class: "ck-total" }, ...text), update: (/** @type {Total} */ now) => (say(value, now.value), say(label, now.label)) };
    }
    const trunk = h("span", { class: "ck-bar-fill" });
    const rest = h("span", { class: "ck-bar-fill ck-bar-rest" });
    const line = h("span", { class: "ck-bar", "aria-hidden": "true" }, trunk, rest);
    const part = h("span", { class: "ck-trunk" });
    const node = h("button", { type: "button", class: "ck-total", "aria-haspopup": "dialog" }, ...text, line, part);
    let now = first;
    node.addEventListener("click", () => dialog.open(now, node));
    return {
      node,
      update(/** @type {Total} */ total) {
        now = total;
        const over = (total.share ?? 0) > 1;
        const said = total.limit ? `${over ? "over" : "of"} ${total.limit}` : "";
        say(value, total.value);
        say(label, total.label);
        say(limit, said);
        say(part, total.trunk ? `trunk ${total.trunk}` : "");
        node.classList.toggle("ck-over", over);
        line.hidden = !total.limit;
        trunk.style.width = percent(Math.min(total.share ?? 0, total.trunk_share ?? 1));
        rest.style.width = percent(Math.min(total.share ?? 0, 1) - Math.min(total.share ?? 0, total.trunk_share ?? 1, 1));
        put(node, "title", [total.words, "Click to set a limit"].filter(Boolean).join(". "));
        put(node, "aria-label", [`${total.value} ${total.label}`, said, total.words, "set a limit"].filter(Boolean).join(", "));
      },
    };
  }

  const update = () => follow(list, model.get("state")?.totals ?? [], (total) => total.id ?? total.label, createTotal);
  update();
  const stops = [watch(model, ["state"], update), dialog.close];
  return () => stops.forEach((stop) => stop());
}

// One small form for all of them, below the total that was clicked.
function limitDialog(/** @type {Model<BarTraits>} */ model) {
  let what = "params";
  /** @type {HTMLElement | null} */
  let opener = null;
  const caption = h("span");
  const limit = h("input", { class: "ck-input", type: "text", autocomplete: "off", spellcheck: "false" });
  const batch = h("input", { class: "ck-input", type: "text", inputmode: "numeric", autocomplete: "off" });
  let mode = "inference";
  const modes = choice("in a pass for", (id) => (mode = id));
  const pass = h("div", { class: "ck-limit-pass" }, h("label", { class: "ck-field" }, h("span", { text: "Batch" }), batch), modes.node);
  const words = h("p", { class: "ck-soft ck-small" });
  const set = h("button", { type: "submit", class: "ck-button ck-primary", text: "Set" });
  const none = h("button", { type: "button", class: "ck-button", text: "No limit" });
  const form = h("form", {}, h("label", { class: "ck-field" }, caption, limit), pass, words, h("div", { class: "ck-limit-acts" }, set, none));
  const node = h("div", { class: "ck-limit-dialog", popover: "auto", role: "dialog", "aria-label": "Budget" }, form);

  function commit(/** @type {string} */ said) {
    const limits = what === "memory" ? { memory: said, batch: batch.value, mode } : { [what]: said };
    send(model, { type: "budget", limits });
    node.hidePopover();
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    commit(limit.value);
  });
  none.addEventListener("click", () => commit(""));

  function place() {
    if (!opener) return;
    const at = opener.getBoundingClientRect();
    node.style.left = `${clamp(at.right - node.offsetWidth, 8, Math.max(8, innerWidth - node.offsetWidth - 8))}px`;
    node.style.top = `${at.bottom + 4}px`;
  }
  const close = () => {
    removeEventListener("scroll", place, true);
    removeEventListener("resize", place);
  };
  node.addEventListener("toggle", (event) => {
    if (event.newState !== "open") {
      close();
      return opener?.focus({ preventScroll: true });
    }
    place();
    limit.focus({ preventScroll: true });
    limit.select();
    addEventListener("scroll", place, true);
    addEventListener("resize", place);
  });

  return {
    node,
    close,
    open(/** @type {Total} */ total, /** @type {HTMLElement} */ from) {
      what = total.id ?? "params";
      opener = from;
      say(caption, `Limit for ${LIMITS[what].words}`);
      limit.value = total.limit;
      put(limit, "placeholder", LIMITS[what].example);
      pass.hidden = what !== "memory";
      batch.value = String(total.batch ?? 1);
      mode = total.mode ?? "inference";
      modes.update([{ id: "inference", label: "inference" }, { id: "training", label: "training" }], mode);
      say(words, total.words);
      words.hidden = !total.words;
      none.hidden = !total.limit;
      node.showPopover();
    },
  };
}

export default { render };
