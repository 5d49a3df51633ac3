// Helpers that every view shares. views.py puts this text before each view's own: a widget's module is loaded
// from a blob, where relative imports cannot work.

const SVG = "http://www.w3.org/2000/svg";

// One element. Names and figures come from users' models and files, so text only ever goes in as text.
function make(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else put(node, name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

const h = (tag, props, ...children) => make(document.createElement(tag), props, children);
const s = (tag, props, ...children) => make(document.createElementNS(SVG, tag), props, children);

// Sets an attribute only when it changes; null and false take it away.
function put(node, name, value) {
  if (value == null || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

// Sets the text only when it changes: a live region would otherwise say it again.
function say(node, text) {
  const value = text == null ? "" : String(text);
  if (node.textContent !== value) node.textContent = value;
}

// Makes the children of `parent` follow `items`, one node a key. Nodes that stay are updated in place and not moved,
// so that they keep the keyboard focus and their scroll position. `create` returns { node, update }.
function follow(parent, items, key, create) {
  const old = parent.followed ?? new Map();
  const now = new Map();
  for (const item of items) {
    let id = key(item);
    while (now.has(id)) id += "'";
    now.set(id, old.get(id) ?? create(item));
  }
  for (const [id, { node }] of old) if (!now.has(id)) node.remove();
  let next = parent.firstChild;
  [...now.values()].forEach(({ node, update }, index) => {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
    update?.(items[index], index);
  });
  parent.followed = now;
}

// Calls `act` when one of the traits changes; once for changes that arrive together.
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

// Every view's root. JupyterLab must not take the arrow keys, or the letters that delete a cell, from what has the
// focus inside; the mark must be on that very element. With Ctrl or Cmd, Lab keeps its shortcuts (saving, say).
function dress(el, name) {
  el.classList.add("classykit", name);
  const shield = (event) => put(event.target, "data-lm-suppress-shortcuts", event.ctrlKey || event.metaKey ? null : "true");
  for (const type of ["focusin", "keydown", "keyup"]) el.addEventListener(type, shield);
}

const unique = () => `ck-${Math.random().toString(36).slice(2, 10)}`;

const send = (model, message, buffers) => model.send(message, undefined, buffers);

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const percent = (share) => `${clamp(Number(share) || 0, 0, 1) * 100}%`;

// A bar beside a number, which is what is read out.
function bar() {
  const fill = h("span", { class: "ck-bar-fill" });
  const node = h("span", { class: "ck-bar", "aria-hidden": "true" }, fill);
  return {
    node,
    update(share) {
      fill.style.width = percent(share);
      // A share that is not nothing stays visible.
      fill.style.minWidth = share > 0 ? "2px" : "0";
    },
  };
}

// A <select> with its label, drawn as a word with a dotted line under it.
function choice(label, onChange, { hideLabel = false } = {}) {
  // The label holds the select and so all its options: the name alone is said outright.
  const select = h("select", { class: "ck-select", "aria-label": label, on: { change: () => onChange(select.value) } });
  const caption = h("span", { class: hideLabel ? "ck-hidden" : "ck-choice-label", text: label });
  const node = h("label", { class: "ck-choice" }, caption, h("span", { class: "ck-select-box" }, select));
  const update = (items, value) => {
    follow(
      select,
      items,
      (item) => String(item.id),
      (item) => {
        const option = h("option", { value: item.id });
        return { node: option, update: (it) => say(option, it.label) };
      },
    );
    if (value != null && select.value !== String(value)) select.value = value;
  };
  return { node, select, update };
}

// Matplotlib's viridis: 33 anchors, interpolated to 256 colours, each packed as ImageData wants it (little-endian RGBA).
const VIRIDIS = (() => {
  const anchors =
    "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e23898e21918c1f988b1fa08822a78528ae8032b67a3fbc734ec36b5ec96270cf5784d44b98d83eaddc30c2df23d8e219ece51bfde725"
      .match(/../g)
      .map((pair) => parseInt(pair, 16));
  const colours = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const at = (i / 255) * 32;
    const left = Math.min(Math.floor(at), 31);
    const channel = (c) => Math.round(anchors[left * 3 + c] * (left + 1 - at) + anchors[left * 3 + 3 + c] * (at - left));
    colours[i] = (255 << 24) | (channel(2) << 16) | (channel(1) << 8) | channel(0);
  }
  return colours;
})();
