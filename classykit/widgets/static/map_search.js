// @ts-check
// Finds a block by its name or type: what does not match grows pale, Enter chooses, Escape ends it.

/** @param {{ blocks: () => Block[], found: () => void, choose: (name: string) => void, leave: () => void }} props */
function render({ blocks, found, choose, leave }) {
  const glass = s("svg", { viewBox: "0 0 16 16", width: 14, height: 14, "aria-hidden": "true", class: "ck-glass" });
  glass.append(s("circle", { cx: 7, cy: 7, r: 4.5 }), s("path", { d: "M 10.5 10.5 L 14 14" }));
  const open = h("button", { type: "button", class: "ck-icon", "aria-label": "Find a block", title: "Find a block (/)" }, glass);
  const input = h("input", {
    class: "ck-input",
    type: "text",
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": "Find a block by name or type",
    placeholder: "name or type",
  });
  const words = h("span", { class: "ck-small ck-soft", role: "status" });
  const box = h("span", { class: "ck-map-find" }, input, words);
  const node = h("span", { class: "ck-map-search", role: "search" }, open, box);
  box.hidden = true;
  let at = 0; // which of those that match Enter would choose

  const asked = () => (box.hidden ? "" : input.value.trim().toLowerCase());
  const matches = (/** @type {Block} */ block) =>
    [block.name, block.label, block.type].some((text) => text.toLowerCase().includes(asked()));
  const those = () => (asked() ? blocks().filter(matches) : []);

  function tell() {
    const all = those();
    at = clamp(at, 0, Math.max(all.length - 1, 0));
    const some = all.length ? `${at + 1} of ${all.length}: ${all[at].name}` : "none";
    say(words, asked() ? some : "");
    found();
  }

  function begin() {
    box.hidden = false;
    put(open, "aria-expanded", "true");
    input.select();
    input.focus();
    tell();
  }

  function end() {
    box.hidden = true;
    put(open, "aria-expanded", "false");
    tell();
  }

  put(open, "aria-expanded", "false");
  open.addEventListener("click", () => (box.hidden ? begin() : end()));
  input.addEventListener("input", () => {
    at = 0;
    tell();
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const now = those()[at];
    if (step) {
      at = (at + step + those().length) % (those().length || 1);
      tell();
    } else if (event.key === "Escape") {
      end();
      leave();
    } else if (event.key === "Enter") {
      if (!now) return;
      end();
      choose(now.name);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  });

  return { node, begin, matches, asked, now: () => those()[at] };
}

export default { render };
