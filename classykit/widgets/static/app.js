// @ts-check
// What the roots of the apps share: what the kernel was asked for, panels under tabs, undo and redo.

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

/**
 * Takes back what was done last, or does it again; says what that is.
 * @param {Model<any>} model
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

/**
 * Keys within an app, which the notebook would take as its own: undo and redo, and Enter in boxes and forms.
 * @param {HTMLElement} frame
 * @param {(message: Record<string, unknown>) => void} ask
 */
function keys(frame, ask) {
  // Where one types, the keys undo what was typed.
  const typing = "input:not([type=range], [type=checkbox], [type=radio]), textarea";
  frame.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.key.toLowerCase() !== "z") return;
    if (event.target instanceof Element && event.target.matches(typing)) return;
    event.preventDefault();
    event.stopPropagation(); // the notebook would take back what was written in a cell
    ask({ type: event.shiftKey ? "redo" : "undo" });
  });

  // JupyterLab refuses line breaks in whatever a cell holds, and with them what Enter does in a box or a form: it
  // listens at the box itself, which the event reaches after this.
  const breaks = (/** @type {InputEvent} */ event) => event.inputType === "insertLineBreak" && event.stopPropagation();
  frame.addEventListener("beforeinput", breaks, true);
}
