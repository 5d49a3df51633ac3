// @ts-check
// Which class is asked about, by which head, and whether another class is taken away from it.

const PATIENCE = 150; // milliseconds without a key, after which what was typed is looked for

/** @typedef {{ number: number, label: string, share: number, value: string }} ClassRow */

/**
 * The most probable classes as a group of radio buttons.
 * @param {(number: number) => void} choose
 */
function radios(choose) {
  const group = unique();
  const node = h("div", { class: "ck-why-classes", role: "radiogroup", "aria-label": "Class" });
  let target = -1;
  /** @type {(row: ClassRow) => Follower<ClassRow>} */
  const create = ({ number }) => {
    const input = h("input", { type: "radio", name: group, on: { change: () => choose(number) } });
    const label = h("span", { class: "ck-label" });
    const line = bar();
    const value = h("span", { class: "ck-value" });
    return {
      node: h("label", { class: "ck-why-class" }, input, label, line.node, value),
      update(now) {
        say(label, now.label);
        put(label, "title", now.label);
        say(value, now.value);
        line.update(now.share);
        input.checked = number === target;
      },
    };
  };
  return {
    node,
    update(/** @type {ClassRow[]} */ rows, /** @type {number} */ chosen) {
      target = chosen;
      follow(node, rows, (row) => String(row.number), create);
    },
  };
}

/**
 * A box that finds the other classes by their names; Python looks for them, as there may be very many.
 * @param {(text: string) => void} find
 * @param {(number: number) => void} choose
 */
function search(find, choose) {
  let timer = 0;
  let active = 0; // the hit that Enter takes
  /** @type {{ number: number, label: string }[]} */
  let hits = [];
  const list = h("div", { class: "ck-why-hits", role: "listbox", id: unique(), "aria-label": "Classes found" });
  const words = h("div", { class: "ck-soft ck-small", role: "status" });
  const box = h("input", {
    type: "text", class: "ck-input ck-small", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-autocomplete": "list", "aria-controls": list.id, "aria-label": "Another class",
  });

  function take(/** @type {number} */ index) {
    const hit = hits[index];
    if (!hit) return;
    clearTimeout(timer);
    box.value = "";
    choose(hit.number);
  }

  function ask() {
    clearTimeout(timer);
    find(box.value.trim());
  }

  function mark() {
    [...list.children].forEach((item, i) => put(item, "aria-selected", i === active ? "true" : "false"));
    put(box, "aria-activedescendant", list.children[active]?.id);
  }

  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PATIENCE);
  });
  box.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && hits.length) {
      active = (active + step + hits.length) % hits.length;
      mark();
    } else if (event.key === "Enter") {
      take(active);
    } else if (event.key === "Escape" && box.value) {
      box.value = "";
      ask();
    } else {
      return;
    }
    event.preventDefault();
  });

  return {
    node: h("div", { class: "ck-why-search" }, box, words, list),
    update(/** @type {any} */ pane) {
      if (hits.map((hit) => hit.number).join() !== pane.hits.map((/** @type {any} */ hit) => hit.number).join()) active = 0;
      hits = pane.hits;
      const others = pane.count - pane.classes.length;
      put(box, "placeholder", `another of ${pane.count} classes …`);
      box.parentElement?.toggleAttribute("hidden", others < 1);
      put(box, "aria-expanded", hits.length ? "true" : "false");
      list.hidden = !hits.length;
      say(words, pane.typed ? pane.said : "");
      words.hidden = !pane.typed;
      follow(
        list,
        hits.map((hit, index) => ({ ...hit, index })),
        (hit) => String(hit.number),
        (hit) => {
          const item = h("div", { class: "ck-why-hit", role: "option", id: unique(), text: hit.label });
          let at = 0;
          item.addEventListener("click", () => take(at));
          return { node: item, update: (now) => (at = now.index) };
        },
      );
      mark();
    },
    stop: () => clearTimeout(timer),
  };
}

/** @param {Props<PaneTraits>} props */
function render({ model, el }) {
  const choose = (/** @type {number} */ number) => send(model, { type: "why_class", number });
  const head = choice("Head", (id) => send(model, { type: "why_head", head: id }), { hideLabel: true });
  const list = radios(choose);
  const others = search((text) => send(model, { type: "why_find", text }), choose);
  const minus = h("input", { type: "checkbox", role: "switch", class: "ck-why-switch" });
  const rival = h("span", { class: "ck-soft" });
  const toggle = h("label", { class: "ck-why-minus" }, minus, "minus the runner-up", rival);
  minus.addEventListener("change", () => send(model, { type: "why_minus", on: minus.checked }));
  el.replaceChildren(
    h("div", { class: "ck-why-lead" }, h("h4", { class: "ck-soft", text: "Why" }), head.node),
    list.node,
    others.node,
    toggle,
  );
  return {
    update(/** @type {any} */ pane) {
      head.update(pane.heads, pane.head);
      head.node.classList.toggle("ck-why-own", pane.own);
      list.update(pane.classes, pane.target);
      others.update(pane);
      minus.checked = pane.minus;
      say(rival, pane.rival ? `(${pane.rival})` : "");
      toggle.hidden = pane.count < 2;
    },
    stop: others.stop,
  };
}

export default { render };
