// @ts-check
// Helpers that all parts share. bundle.py puts this text in front of theirs: a widget's module is loaded from a blob,
// where relative imports cannot work.

const SVG = "http://www.w3.org/2000/svg";

/**
 * One element. Names and figures come from users' models and files, so text only ever goes in as text.
 * @template {Element} T
 * @param {T} node
 * @param {Record<string, any> | null | undefined} props
 * @param {(Node | string | null | undefined)[]} children
 * @returns {T}
 */
function make(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else put(node, name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any> | null} [props]
 * @param {(Node | string | null)[]} children
 */
const h = (tag, props, ...children) => make(document.createElement(tag), props, children);
/**
 * @template {keyof SVGElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any> | null} [props]
 * @param {(Node | string | null)[]} children
 */
const s = (tag, props, ...children) => make(document.createElementNS(SVG, tag), props, children);

/**
 * Sets an attribute only when it changes; null and false take it away.
 * @param {Element} node
 * @param {string} name
 * @param {string | number | boolean | null | undefined} value
 */
function put(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : String(value));
}

/**
 * Sets the text only when it changes: a live region would otherwise say it again.
 * @param {Element} node
 * @param {string | number | null | undefined} text
 */
function say(node, text) {
  const value = String(text ?? "");
  if (node.textContent !== value) node.textContent = value;
}

/** @type {WeakMap<Element, Map<string, Follower<any>>>} */
const followed = new WeakMap();

/**
 * Makes the children of `parent` follow `items`, one node a key. Nodes that stay are updated in place and not moved,
 * so that they keep the keyboard focus and their scroll position.
 * @template T
 * @param {Element} parent
 * @param {T[]} items
 * @param {(item: T, index: number) => string} key
 * @param {(item: T) => Follower<T>} create
 */
function follow(parent, items, key, create) {
  const old = followed.get(parent) ?? new Map();
  const now = new Map();
  for (const [index, item] of items.entries()) {
    let id = key(item, index);
    while (now.has(id)) id += "'";
    now.set(id, old.get(id) ?? create(item));
  }
  for (const [id, { node }] of old) if (!now.has(id)) node.remove();
  let next = parent.firstChild;
  [...now.values()].forEach(({ node, update }, index) => {
    if (next !== null && node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
    update?.(items[index], index);
  });
  followed.set(parent, now);
}

/**
 * Calls `act` when one of the traits changes; once for changes that arrive together. Returns what ends that.
 * @param {Model<any>} model
 * @param {string[]} names
 * @param {() => void} act
 */
function watch(model, names, act) {
  let waiting = false;
  let over = false;
  const later = () => {
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => {
      waiting = false;
      if (!over) act();
    });
  };
  for (const name of names) model.on(`change:${name}`, later);
  return () => {
    over = true;
    for (const name of names) model.off(`change:${name}`, later);
  };
}

/**
 * Calls `act` with what Python sends by itself, a file say. Returns what ends that.
 * @param {Model<any>} model
 * @param {(message: any, buffers: DataView[]) => void} act
 */
function hear(model, act) {
  model.on("msg:custom", act);
  return () => model.off("msg:custom", act);
}

/**
 * Every view's root. JupyterLab must not take the arrow keys, or the letters that delete a cell, from what has the
 * focus inside; the mark must be on that very element. With Ctrl or Cmd, Lab keeps its shortcuts (saving, say).
 * @param {HTMLElement} el
 * @param {string} name
 */
function dress(el, name) {
  el.classList.add("classykit", name);
  const shield = (/** @type {Event} */ event) => {
    const held = event instanceof KeyboardEvent && (event.ctrlKey || event.metaKey);
    if (event.target instanceof Element) put(event.target, "data-lm-suppress-shortcuts", held ? null : "true");
  };
  for (const type of ["focusin", "keydown", "keyup"]) el.addEventListener(type, shield);
}

/**
 * What has the keyboard focus: some front ends put a widget in a shadow tree, which has a focus of its own.
 * @param {Element} el
 */
const focused = (el) => /** @type {Document | ShadowRoot} */ (el.getRootNode()).activeElement ?? null;

const unique = () => `ck-${Math.random().toString(36).slice(2, 10)}`;

/**
 * @param {Model<any>} model
 * @param {{ type: string, [name: string]: unknown }} message
 * @param {ArrayBuffer[]} [buffers]
 */
const send = (model, message, buffers) => model.send(message, undefined, buffers);

/** @type {(value: number, low: number, high: number) => number} */
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const percent = (/** @type {number} */ share) => `${clamp(Number(share) || 0, 0, 1) * 100}%`;

// A bar beside a number, which is what is read out.
function bar() {
  const fill = h("span", { class: "ck-bar-fill" });
  const node = h("span", { class: "ck-bar", "aria-hidden": "true" }, fill);
  return {
    node,
    update(/** @type {number} */ share) {
      fill.style.width = percent(share);
      // A share that is not nothing stays visible.
      fill.style.minWidth = share > 0 ? "2px" : "0";
    },
  };
}

/**
 * A row of a label, a bar and figures. `more` stands at its end.
 * @param {Element[]} more
 */
function row(...more) {
  const label = h("span", { class: "ck-label" });
  const line = bar();
  const value = h("span", { class: "ck-value" });
  return {
    node: h("div", { class: "ck-row" }, label, line.node, value, ...more),
    update(/** @type {{ label: string, share: number, value: string }} */ now) {
      say(label, now.label);
      put(label, "title", now.label);
      say(value, now.value);
      line.update(now.share);
    },
  };
}

/**
 * A <select> with its label, drawn as a word with a dotted line under it.
 * @param {string} label
 * @param {(id: string) => void} onChange
 */
function choice(label, onChange, { hideLabel = false } = {}) {
  // The label holds the select and so all its options: the name alone is said outright.
  const select = h("select", { class: "ck-select", "aria-label": label, on: { change: () => onChange(select.value) } });
  const caption = h("span", { class: hideLabel ? "ck-hidden" : "ck-choice-label", text: label });
  const node = h("label", { class: "ck-choice" }, caption, h("span", { class: "ck-select-box" }, select));
  const update = (/** @type {Choice[]} */ items, /** @type {string | undefined} */ value) => {
    follow(
      select,
      items,
      (item) => item.id,
      (item) => {
        const option = h("option", { value: item.id });
        return { node: option, update: (/** @type {Choice} */ now) => say(option, now.label) };
      },
    );
    if (value !== undefined && select.value !== value) select.value = value;
  };
  return { node, select, update };
}

/**
 * A switch with its words beside it.
 * @param {(on: boolean) => void} onChange
 */
function toggle(onChange) {
  const box = h("input", { type: "checkbox", role: "switch", class: "ck-toggle", on: { change: () => onChange(box.checked) } });
  const words = h("span");
  const update = (/** @type {string} */ text, /** @type {boolean} */ on) => {
    say(words, text);
    box.checked = on;
  };
  return { node: h("label", { class: "ck-switch" }, box, words), box, update };
}

// Matplotlib's viridis: 33 anchors, interpolated to 256 colours, each packed as ImageData wants it (little-endian RGBA).
const VIRIDIS = (() => {
  const anchors =
    "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e23898e21918c1f988b1fa08822a78528ae8032b67a3fbc734ec36b5ec96270cf5784d44b98d83eaddc30c2df23d8e219ece51bfde725";
  const colours = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * 32;
    const left = Math.min(Math.floor(at), 31);
    const byte = (/** @type {number} */ n) => parseInt(anchors.slice(2 * n, 2 * n + 2), 16);
    const channel = (/** @type {number} */ c) =>
      Math.round(byte(left * 3 + c) * (left + 1 - at) + byte(left * 3 + 3 + c) * (at - left));
    colours[i] = (255 << 24) | (channel(2) << 16) | (channel(1) << 8) | channel(0);
  }
  return colours;
})();
