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
  const tell = () => told.forEach((act) => act());

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

/**
 * The app as one of its parts sees it, where some of its traits go by shorter names.
 * @param {Model<any>} app
 * @param {ReturnType<typeof questions>} kernel
 * @param {Record<string, string>} names
 * @returns {Model<any>}
 */
function partOf(app, kernel, names) {
  const of = (/** @type {string} */ name) => names[name] ?? name;
  const event = (/** @type {string} */ name) => (name.startsWith("change:") ? `change:${of(name.slice(7))}` : name);
  const part = {
    get: (/** @type {string} */ name) => (name === "busy" && kernel.waiting()) || app.get(of(name)),
    set: (/** @type {string} */ name, /** @type {unknown} */ value) => app.set(of(name), value),
    save_changes() {
      app.save_changes();
      kernel.ask({ type: "ping" });
    },
    on(/** @type {string} */ name, /** @type {any} */ act) {
      app.on(event(name), act);
      if (name === "change:busy") kernel.onChange(act);
    },
    off: (/** @type {string} */ name, /** @type {any} */ act) => app.off(event(name), act),
    send: (/** @type {any} */ message, /** @type {any} */ _, /** @type {any} */ buffers) => kernel.ask(message, buffers),
  };
  return /** @type {any} */ (part);
}

/** @param {Props<AppTraits>} props */
function render({ model, el }) {
  const [bar, map, panel, view, code] = ["bar", "map", "panel", "view", "code"].map(() => h("div"));
  const columns = h("div", { class: "classykit-columns" }, panel, view);
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
    feature_view.render({ model: part({ state: "view_state", frame: "moment" }), el: view }),
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
