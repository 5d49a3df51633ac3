// @ts-check
// What the model does: one tab a view, and beside those that look at a picture the picture, one for all of them.

/** @type {Record<string, ViewPart<any>>} */
const VIEWS = {
  features: feature_grid,
  why: why_view,
  attention: attention_view,
  layers: layers_view,
  information: information_view,
  compare: compare_view,
  blocks: blocks_view,
};
const BESIDE_THE_PICTURE = ["features", "why", "attention", "compare"];

/** @param {Props<ViewsTraits>} props */
function render({ model, el }) {
  dress(el, "ck-features");
  const list = h("div", { class: "ck-tabs", role: "tablist", "aria-label": "What to see" });
  const tools = h("div", { class: "ck-tools" });
  const column = h("div");
  const body = h("div", { class: "ck-tab-body" }, column);
  el.replaceChildren(h("div", { class: "ck-toolbar" }, list, tools), body);
  const picture = picture_column.render({ model, el: column });

  let open = "features";
  const views = Object.entries(VIEWS).map(([id, part]) => {
    const panel = h("div", { class: "ck-tab-panel", role: "tabpanel", id: unique() });
    const own = h("div", { class: "ck-view-tools" });
    const tab = h("button", { type: "button", role: "tab", class: "ck-tab", id: unique(), "aria-controls": panel.id });
    put(panel, "aria-labelledby", tab.id);
    tab.addEventListener("click", () => choose(id));
    list.append(tab);
    tools.append(own);
    body.append(panel);
    const stop = part.render({ model, el: panel, tools: own, picture });
    return { id, tab, panel, tools: own, stop };
  });

  function choose(/** @type {string} */ id) {
    show(id);
    if (model.get("tab") === id) return;
    model.set("tab", id);
    model.save_changes();
  }

  function show(/** @type {string} */ id) {
    open = id;
    column.hidden = !BESIDE_THE_PICTURE.includes(id);
    body.classList.toggle("ck-alone", column.hidden);
    for (const view of views) {
      const on = view.id === id;
      put(view.tab, "aria-selected", on ? "true" : "false");
      put(view.tab, "tabindex", on ? "0" : "-1");
      view.panel.hidden = view.tools.hidden = !on;
      if (on) view.panel.dispatchEvent(new Event("ck-shown"));
    }
  }

  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const there = views.filter((view) => !view.tab.hidden);
    const next = there[(there.findIndex((view) => view.id === open) + step + there.length) % there.length];
    choose(next.id);
    next.tab.focus();
    event.preventDefault();
  });

  function update() {
    const tabs = model.get("tabs") ?? [];
    for (const view of views) {
      const tab = tabs.find((item) => item.id === view.id);
      view.tab.hidden = !tab;
      say(view.tab, tab?.title);
    }
    show(model.get("tab") ?? open);
  }

  update();
  const stops = [watch(model, ["tab", "tabs"], update), picture.stop, ...views.map((view) => view.stop)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
