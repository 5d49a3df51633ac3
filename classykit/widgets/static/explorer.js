// @ts-check
// The app: its parts, one below the other, in one widget.

/** @type {Record<string, (value: any) => Record<string, unknown>>} */
const ASKED_FOR = {
  selected: (block) => ({ type: "select", block }),
  tab: (tab) => ({ type: "tab", tab }),
  moment: (moment) => ({ type: "moment", moment }),
};

/**
 * What is on the open tab: it comes as what another block changes, and what stays. The same object until either changes.
 * @param {Model<any>} app
 */
function merged(app) {
  /** @type {any[]} */
  let of = [];
  let whole = {};
  return () => {
    const now = [app.get("pane_stays"), app.get("pane_moves")];
    if (now.some((part, i) => part !== of[i])) [of, whole] = [now, { ...now[0], ...now[1] }];
    return whole;
  };
}

/**
 * The app as one of its parts sees it, where some of its traits go by shorter names.
 * @param {Model<any>} app
 * @param {ReturnType<typeof questions>} kernel
 * @param {Record<string, string>} names
 * @returns {Model<any>}
 */
function partOf(app, kernel, names) {
  const of = (/** @type {string} */ name) => names[name] ?? name;
  const pane = merged(app);
  const events = (/** @type {string} */ name) => {
    if (name === "change:pane") return ["change:pane_moves", "change:pane_stays"];
    return [name.startsWith("change:") ? `change:${of(name.slice(7))}` : name];
  };
  /** @type {Set<string>} */
  const turned = new Set(); // what was set here and the kernel is not asked for yet
  const part = {
    get: (/** @type {string} */ name) => (name === "busy" && kernel.waiting()) || (name === "pane" ? pane() : app.get(of(name))),
    set(/** @type {string} */ name, /** @type {unknown} */ value) {
      app.set(of(name), value); // seen at once
      turned.add(of(name));
    },
    // One message, and not the trait's, which Python would send back before it has answered.
    save_changes() {
      for (const name of turned) kernel.ask(ASKED_FOR[name](app.get(name)));
      turned.clear();
    },
    on(/** @type {string} */ name, /** @type {any} */ act) {
      for (const each of events(name)) app.on(each, act);
      if (name === "change:busy") kernel.onChange(act);
    },
    off: (/** @type {string} */ name, /** @type {any} */ act) => events(name).forEach((each) => app.off(each, act)),
    send(/** @type {any} */ message, /** @type {any} */ _, /** @type {any} */ buffers) {
      if (message.type === "cancel") app.send(message); // it is not answered: what it ends is
      else kernel.ask(message, buffers);
    },
  };
  return /** @type {any} */ (part);
}

/** @param {Props<AppTraits>} props */
function render({ model, el }) {
  const [bar, map, panel, design, view, code] = Array.from({ length: 6 }, () => h("div"));
  const left = tabs("What it is, and what is done to it", { Block: panel, Design: design });
  const columns = h("div", { class: "classykit-columns" }, left, view);
  const frame = h("div", { class: "classykit-frame" }, bar, map, columns, code);
  const words = h("div", { class: "ck-silence", role: "alert" });
  const kernel = questions(model);
  el.classList.add("classykit-explorer");
  el.replaceChildren(frame, words);
  const part = (/** @type {Record<string, string>} */ names) => partOf(model, kernel, names);
  const stops = [
    kernel.close,
    model_bar.render({ model: part({ state: "bar_state" }), el: bar }),
    block_map.render({ model: part({ state: "map_state", picture: "thumbnail" }), el: map }),
    block_panel.render({ model: part({ state: "panel_state" }), el: panel }),
    design_panel.render({ model: part({}), el: design }),
    views.render({ model: part({ state: "view_state", frame: "moment" }), el: view }),
    code_view.render({ model: part({}), el: code }),
  ];

  // All that is on the screen stays, and where nobody can answer nothing can be clicked.
  function update() {
    frame.inert = kernel.gone();
    frame.classList.toggle("ck-gone", kernel.gone());
    words.hidden = kernel.words() === "";
    say(words, kernel.words());
  }

  keys(frame, kernel.ask);

  kernel.onChange(update);
  update();
  return () => stops.forEach((stop) => stop());
}

export default { render };
