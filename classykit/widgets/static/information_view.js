// @ts-check
// What each block knows: a form that asks, the curve of the answers beside their controls, and what they say.

/** @param {ViewProps<PaneTraits>} props */
function render({ model, el, tools }) {
  const state = () => model.get("pane") ?? {};
  const answer = () => /** @type {Answer | null} */ (state().result ?? null);
  const choose = (/** @type {string} */ block) => send(model, { type: "select", block });
  const data = choice("data", (id) => send(model, { type: "information_data", data: id }));
  const count = choice("pictures", (id) => send(model, { type: "information_count", count: Number(id) }));
  const size = choice("at", (id) => send(model, { type: "information_size", size: Number(id) }));
  const pool = choice("tokens", (id) => send(model, { type: "information_pool", pool: id }));
  tools.replaceChildren(data.node, count.node, size.node);

  const digits = h("div", { class: "ck-info-digits", "aria-hidden": "true" });
  const question = h("span", { class: "ck-info-question" });
  const about = h("span", { class: "ck-soft ck-small" });
  const inside = h("div", { class: "ck-soft ck-small", id: unique() });
  const path = h("input", { type: "text", class: "ck-input", "aria-label": "Folder", "aria-describedby": inside.id, placeholder: "path of a folder", autocomplete: "off", spellcheck: "false" });
  path.addEventListener("change", () => send(model, { type: "information_folder", path: path.value }));
  const folder = h("div", { class: "ck-info-folder" }, path, inside);
  const ask = h("button", { type: "button", class: "ck-button ck-primary", text: "Ask" });
  ask.addEventListener("click", () => {
    if (ask.getAttribute("aria-disabled") !== "true") send(model, { type: "information_ask" });
  });
  const form = h("div", { class: "ck-info-ask" }, digits, h("div", { class: "ck-info-what" }, question, folder), pool.node, about, ask);

  let pointed = "";
  let seen = ""; // the block whose row was brought into sight
  const plot = information_chart.render({
    choose,
    point: (name) => {
      pointed = name;
      read();
    },
  });
  const readout = h("p", { class: "ck-info-readout" });
  const attach = h("button", { type: "button", class: "ck-button", text: "Attach it as a head", on: { click: () => send(model, { type: "information_attach" }) } });
  const says = h("ul", { class: "ck-info-says" });
  const title = h("h3", { class: "ck-info-title", text: "What it says" });
  const stopped = h("p", { class: "ck-info-stopped" });
  const body = h("tbody");
  const heads = ["block", "accuracy, %", "random, %", "MACs"].map((text, i) => h("th", { scope: "col", class: i ? "ck-right" : null, text }));
  const table = h("div", { class: "ck-table-box" }, h("table", { class: "ck-table" }, h("thead", {}, h("tr", {}, ...heads)), body));
  const foot = h("p", { class: "ck-soft ck-small ck-info-foot" });
  const found = h("div", { class: "ck-info-found" },
    h("div", { class: "ck-info-left" }, plot.node, h("div", { class: "ck-info-read" }, readout, attach)),
    h("div", { class: "ck-info-right" }, stopped, title, says, table, foot));
  const hint = h("p", { class: "ck-hint ck-soft" });
  el.replaceChildren(form, hint, found);

  // What is pointed at, or else the chosen block, in words.
  function read() {
    const now = answer();
    const item = now?.points.find((one) => one[0] === (pointed || model.get("selected")));
    say(readout, now && item ? plot.words(item, now) : "Point at a block to read it; a click chooses it.");
  }

  function createRow() {
    let name = "";
    const button = h("button", { type: "button", class: "ck-row-name" });
    const cells = [1, 2, 3].map(() => h("td", { class: "ck-right" }));
    const row = h("tr", {}, h("th", { scope: "row" }, button), ...cells);
    row.addEventListener("click", () => choose(name));
    return {
      node: row,
      update(/** @type {Probed} */ [block, so_far, own, spread, random]) {
        const now = answer();
        name = block;
        say(button, block);
        const macs = now?.known ? `${figure(so_far / now.unit)} ${now.letter}` : "?";
        [plot.give(own, spread), random === undefined ? "" : plot.give(random, null), macs].forEach((text, i) => say(cells[i], text));
        put(row, "aria-current", block === model.get("selected") ? "true" : null);
      },
    };
  }

  // Brings the chosen block's row into sight, moving the table alone.
  function reveal() {
    const row = /** @type {HTMLElement | null} */ (body.querySelector("[aria-current]"));
    const top = (row?.offsetTop ?? 0) - 30; // what the heading covers
    if (row && (top < table.scrollTop || row.offsetTop + row.offsetHeight > table.scrollTop + table.clientHeight)) table.scrollTop = top;
  }

  function updateForm() {
    const now = state();
    const named = { digits: "digits", folder: "a folder", yours: "your arrays" };
    const kinds = /** @type {(keyof typeof named)[]} */ (now.kinds ?? []);
    data.update(kinds.map((id) => ({ id, label: named[id] })), now.kind);
    count.update((now.counts ?? []).map((/** @type {number} */ n) => ({ id: String(n), label: n ? String(n) : "all" })), String(now.count));
    size.update((now.sizes ?? []).map((/** @type {number} */ n) => ({ id: String(n), label: `${n} px` })), String(now.size));
    const pools = /** @type {Record<string, string>} */ ({ mean: "mean of the patches", class: "class token" });
    pool.update((now.pools ?? []).map((/** @type {string} */ id) => ({ id, label: pools[id] })), now.pool);
    data.node.hidden = !kinds.length;
    count.node.hidden = !now.counts?.length;
    size.node.hidden = !now.sizes?.length;
    pool.node.hidden = !now.pools?.length;
    form.hidden = Boolean(now.why_not);
    say(question, `Which ${now.kind === "digits" ? "digit" : "class"} is it, by a linear probe on each block?`);
    folder.hidden = now.kind !== "folder";
    if (now.folder && path !== focused(el)) path.value = now.folder.path;
    say(inside, now.folder?.words);
    put(path, "aria-invalid", now.folder && !now.folder.good ? "true" : null);
    say(about, now.about);
    say(ask, answer() && !answer()?.growing ? "Ask again" : "Ask");
    put(ask, "aria-disabled", model.get("busy") ? "true" : null);
    const arrays = unpack(now.digits ?? [], model.get("pane_pixels"));
    digits.hidden = !now.digits?.length;
    if (arrays?.length && !digits.children.length) digits.replaceChildren(...thumbs(arrays[0]));
  }

  function update() {
    const now = state();
    if (now.tab !== "information") return;
    updateForm();
    const result = answer();
    const chosen = model.get("selected");
    found.hidden = !result;
    hint.hidden = Boolean(result);
    say(hint, now.why_not || "How much of it can a line read off each block's features? Ask: the answer stands here, beside random weights, raw pixels and chance.");
    if (!result) return;
    plot.draw(result, chosen);
    follow(says, result.says, (text) => text, (text) => ({ node: h("li", { text: text.replace(/ (?=[±%])/g, "\u00a0") }) }));
    title.hidden = !result.says.length;
    stopped.hidden = !result.stopped;
    say(stopped, `${result.stopped}. What was read stays.`);
    follow(body, result.points, (item) => item[0], createRow);
    if (chosen !== seen) reveal();
    seen = chosen;
    say(foot, [result.foot, ...result.notes.map((note) => `${note}.`)].join(" "));
    attach.hidden = result.growing || !result.heads.includes(chosen);
    read();
  }

  update();
  return watch(model, ["pane", "pane_pixels", "selected", "busy"], update);
}

// The digits as they are, white on black.
function thumbs(/** @type {Unpacked} */ array) {
  const [many, height, width] = array.shape;
  const greys = Uint32Array.from({ length: 256 }, (_, i) => (255 << 24) | (i << 16) | (i << 8) | i);
  return Array.from({ length: many }, (_, n) => {
    const canvas = h("canvas", { class: "ck-info-digit" });
    paintCells(canvas, width, height, greys, (i) => array.at(n * width * height + i));
    return canvas;
  });
}

export default { render };
