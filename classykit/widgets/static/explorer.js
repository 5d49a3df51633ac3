// @ts-check
// The app: its parts, one below the other, in one widget.

const SOON = 150; // milliseconds, after which what is asked for is seen to be under way
const LONG = 8000; // and after which it is said that nobody has begun with it

/**
 * Counts what this page has asked the kernel for, and what was answered, so that no click is silent: not while another
 * cell runs, and not when the kernel is gone.
 * @param {Model<any>} app
 */
function questions(app) {
  const page = unique();
  /** @type {(() => void)[]} */
  const told = [];
  let asked = 0;
  let soon = 0;
  let long = 0;
  let late = false; // longer than one has patience for
  let shown = false;
  let gone = false;

  const open = () => asked > (app.get("answered")?.[page] ?? 0);
  let last = "";
  const tell = () => {
    const now = [shown, late, gone].join();
    if (now === last) return; // each of those who are told draws itself
    last = now;
    told.forEach((act) => act());
  };

  function look() {
    clearTimeout(long);
    if (open() && !app.get("busy")) long = setTimeout(() => ((late = true), tell()), LONG);
    else late = false;
    if (!open()) {
      clearTimeout(soon);
      shown = false;
    }
    tell();
  }

  const stops = [watch(app, ["answered", "busy"], look)];
  const left = () => {
    gone = true;
    tell();
  };
  app.on("comm_live_update", left); // JupyterLab says so when its kernel restarts or dies
  stops.push(() => app.off("comm_live_update", left));

  return {
    /** @type {(message: Record<string, unknown>, buffers?: ArrayBuffer[]) => void} */
    ask(message, buffers) {
      asked += 1;
      try {
        app.send({ ...message, page, asked }, undefined, buffers);
      } catch {
        return left(); // no kernel is connected
      }
      clearTimeout(soon);
      soon = setTimeout(() => ((shown = open()), tell()), SOON);
      look();
    },
    waiting: () => shown,
    words: () => {
      if (gone) return "The kernel is gone: run the cell again.";
      return late ? "The kernel does not answer: it is busy with another cell, or gone." : "";
    },
    gone: () => gone,
    onChange: (/** @type {() => void} */ act) => told.push(act),
    close() {
      clearTimeout(soon);
      clearTimeout(long);
      stops.forEach((stop) => stop());
    },
  };
}

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

/**
 * Panels of which one is shown. Arrow keys move between the tabs.
 * @param {string} label
 * @param {Record<string, HTMLElement>} panels
 */
function tabs(label, panels) {
  const names = Object.keys(panels);
  const list = h("div", { class: "ck-tabs", role: "tablist", "aria-label": label });
  const buttons = names.map((name) => {
    const panel = panels[name];
    const tab = h("button", { type: "button", class: "ck-tab", role: "tab", id: unique(), text: name });
    panel.id = unique();
    put(tab, "aria-controls", panel.id);
    put(panel, "role", "tabpanel");
    put(panel, "aria-labelledby", tab.id);
    tab.addEventListener("click", () => show(name));
    list.append(tab);
    return tab;
  });

  function show(/** @type {string} */ chosen) {
    names.forEach((name, i) => {
      panels[name].hidden = name !== chosen;
      put(buttons[i], "aria-selected", name === chosen ? "true" : "false");
      put(buttons[i], "tabindex", name === chosen ? "0" : "-1");
      if (name === chosen) panels[name].dispatchEvent(new Event("ck-shown"));
    });
  }

  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const at = buttons.findIndex((tab) => tab.getAttribute("aria-selected") === "true");
    const next = (at + step + names.length) % names.length;
    show(names[next]);
    buttons[next].focus();
    event.preventDefault();
  });
  show(names[0]);
  const node = h("div", { class: "classykit ck-left" }, list, ...Object.values(panels));
  return node;
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

  // Where one types, the keys undo what was typed.
  frame.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "z") return;
    if (event.target instanceof Element && event.target.matches("input, textarea")) return;
    event.preventDefault();
    event.stopPropagation(); // the notebook would take back what was written in a cell
    kernel.ask({ type: event.shiftKey ? "redo" : "undo" });
  });

  kernel.onChange(update);
  update();
  return () => stops.forEach((stop) => stop());
}

export default { render };
