// @ts-check
// In a saved page: what was recorded answers in the place of a kernel. bundle.py puts this after explorer.js.

const WORDS = "This is a recording: blocks and tabs can be looked at. To change the model, open it with ck.explore() in a notebook.";

/**
 * A model as the app takes it. What it shows of a block, and of a block on a tab, was recorded for each.
 * @param {Recording} recording
 */
function recordedModel(recording) {
  /** @type {Record<string, any>} */
  const state = {};
  /** @type {Record<string, Set<(...args: any[]) => void>>} */
  const listeners = {};
  const binary = (/** @type {string} */ text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

  function take(/** @type {Record<string, any>} */ traits) {
    const names = Object.keys(traits).filter((name) => state[name] !== traits[name]);
    for (const name of names) state[name] = traits[name]?.base64 === undefined ? traits[name] : binary(traits[name].base64);
    for (const name of names) (listeners[`change:${name}`] ?? []).forEach((act) => act());
  }

  function turn(/** @type {string} */ block, /** @type {string} */ tab) {
    const info = recording.state.map_state.blocks.find((/** @type {Block} */ item) => item.name === block);
    take({
      ...recording.blocks[block],
      ...(recording.panes[tab]?.[block] ?? {}),
      selected: block,
      tab,
      status: info ? `${block}: ${info.type}, ${info.shape}` : WORDS,
    });
  }

  const model = {
    get: (/** @type {string} */ name) => state[name],
    set(/** @type {string} */ name, /** @type {any} */ value) {
      if (state[name] === value) return;
      if (name === "selected") turn(value, state.tab);
      else if (name === "tab") turn(state.selected, value);
      else take({ [name]: value });
    },
    save_changes() {},
    send(/** @type {any} */ message) {
      if (message.type === "select" && message.block in recording.blocks) model.set("selected", message.block);
      else if (message.type !== "tab" && message.type !== "moment") take({ status: WORDS }); // which are set already
      take({ answered: { [message.page]: message.asked } });
    },
    on(/** @type {string} */ name, /** @type {(...args: any[]) => void} */ act) {
      (listeners[name] ??= new Set()).add(act);
    },
    off(/** @type {string} */ name, /** @type {(...args: any[]) => void} */ act) {
      listeners[name]?.delete(act);
    },
  };
  take(recording.state);
  return /** @type {Model<any>} */ (/** @type {unknown} */ (model));
}

const recording = JSON.parse(document.querySelector("#recording")?.textContent ?? "{}");
const place = /** @type {HTMLElement} */ (document.querySelector("#explorer"));
explorer.render({ model: recordedModel(recording), el: place });
place.classList.add("ck-recorded");
