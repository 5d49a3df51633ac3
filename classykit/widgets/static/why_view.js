// @ts-check

/** @param {ViewProps<PaneTraits>} props */
function render({ model, el }) {
  const update = () => {
    if (model.get("pane")?.tab !== "why") return;
    say(el, JSON.stringify(model.get("pane")));
  };
  update();
  return watch(model, ["pane", "pane_pixels"], update);
}

export default { render };
