// @ts-check
// The design lab: its parts in one widget; in their place an Explorer, while one is open.

const KINDS = [{ label: "Code", kinds: ["code.py"] }, { label: "Nets", kinds: ["nets.csv"] }];

/**
 * What a front end lends to widgets that hold others; not each has it.
 * @typedef {{ get_model(id: string): Promise<any>, create_view?(model: any, options: object): Promise<{ el: HTMLElement, remove(): void }> }} Manager
 */

/**
 * The lab as one of its parts sees it: what it sends is counted, so that no click is silent.
 * @param {Model<LabTraits>} lab
 * @param {ReturnType<typeof questions>} kernel
 * @returns {Model<LabTraits>}
 */
function counted(lab, kernel) {
  const part = {
    get: (/** @type {keyof LabTraits} */ name) => lab.get(name),
    on: (/** @type {any} */ name, /** @type {any} */ act) => lab.on(name, act),
    off: (/** @type {any} */ name, /** @type {any} */ act) => lab.off(name, act),
    send: (/** @type {any} */ message) => kernel.ask(message),
  };
  return /** @type {any} */ (part);
}

/** @param {Props<LabTraits>} props */
function render({ model: lab, el }) {
  const kernel = questions(lab);
  const model = counted(lab, kernel);
  const [head, ranges, scatter, edf, table, net, code, place] = Array.from({ length: 8 }, () => h("div"));
  const plots = h("div", { class: "ck-lab-plots" }, scatter, edf);
  const views = tabs("What came of it", { Scatter: plots, Table: table });
  views.className = "classykit ck-features ck-lab-views";
  const tools = h("div", { class: "ck-tools" });
  views.prepend(h("div", { class: "ck-toolbar" }, /** @type {Element} */ (views.firstChild), tools));
  plots.addEventListener("ck-shown", () => (tools.hidden = false));
  table.addEventListener("ck-shown", () => (tools.hidden = true));
  const columns = h("div", { class: "classykit-columns" }, ranges, h("div", { class: "ck-lab-right" }, views, net));
  const back = h("button", { type: "button", class: "ck-button", text: "‹ Back to the lab", on: { click: () => send(model, { type: "back" }) } });
  const alone = h("p", { class: "ck-soft" });
  const within = h("div", { class: "classykit ck-lab-within", hidden: true }, h("div", { class: "ck-lab-back" }, back, alone), place);
  const frame = h("div", { class: "classykit-frame" }, head, columns, code);
  const words = h("div", { class: "ck-silence", role: "alert" });
  el.classList.add("classykit-explorer", "classykit-lab");
  el.replaceChildren(frame, within, words);

  function update() {
    frame.inert = kernel.gone();
    frame.classList.toggle("ck-gone", kernel.gone());
    words.hidden = kernel.words() === "";
    say(words, kernel.words());
  }

  // The front end shows the other widget, as it shows any; where it cannot, the code says how to open it.
  let shown = "";
  /** @type {{ el: HTMLElement, remove(): void } | null} */
  let view = null;
  async function follows() {
    const id = lab.get("inside");
    if (id === shown) return;
    const left = shown !== "";
    shown = id;
    view?.remove();
    view = null;
    place.replaceChildren();
    frame.hidden = id !== "";
    within.hidden = id === "";
    if (id === "") {
      if (left) /** @type {HTMLElement | null} */ (net.querySelector(".ck-primary"))?.focus();
      return;
    }
    back.focus();
    const manager = /** @type {Manager | undefined} */ (/** @type {any} */ (lab).widget_manager);
    say(alone, "");
    try {
      if (!manager?.create_view) throw new Error("no views");
      const made = await manager.create_view(await manager.get_model(id), {});
      if (shown !== id) return made.remove();
      view = made;
      place.append(made.el);
    } catch {
      const line = lab.get("code").split("\n").at(-1);
      say(alone, `This front end shows one app at a time. In a cell of its own: ${line}`);
    }
  }

  keys(frame, kernel.ask);

  const stops = [
    kernel.close,
    lab_head.render({ model, el: head }),
    lab_ranges.render({ model, el: ranges }),
    lab_scatter.render({ model, el: scatter, tools }),
    lab_edf.render({ model, el: edf }),
    lab_table.render({ model, el: table }),
    lab_net.render({ model, el: net }),
    code_view.render({ model, el: code, kinds: KINDS }),
    watch(lab, ["inside"], () => void follows()),
    () => view?.remove(),
  ];
  kernel.onChange(update);
  update();
  void follows();
  return () => stops.forEach((stop) => stop());
}

export default { render };
