// @ts-check
// What each patch looks at: the picture lit by it, every layer and head beside it, tokens as colours, and how far.

const CHECKED = "weights × values equal what the layer gave";

/** @param {ViewProps<PaneTraits>} props */
function render({ model, el, tools, picture }) {
  const checked = h("span", { class: "ck-chip ck-chip-trained", title: CHECKED, text: "✓ checked" });
  const doubt = h("span", { class: "ck-chip ck-chip-untrained", text: "not checked" });
  const untrained = h("span", { class: "ck-chip ck-chip-untrained", text: "untrained" });
  const why = h("p", { class: "ck-soft ck-small ck-attention-doubt" });
  const words = h("span");
  const ask = h("button", { type: "button", class: "ck-button", on: { click: () => send(model, { type: "attention_read" }) } });
  const hint = h("div", { class: "ck-hint ck-soft ck-attention-hint" }, words, ask);
  const parts = [
    attention_stage.render({ model, picture }),
    attention_grid.render({ model }),
    attention_tokens.render({ model }),
    attention_distance.render({}),
  ];
  const body = h("div", { class: "ck-attention" }, ...parts.map((part) => part.node));
  el.classList.add("ck-attention-view");
  el.replaceChildren(hint, body, why);
  tools.replaceChildren(untrained, checked, doubt);
  const all = [hint, body, why, untrained, checked, doubt];
  all.forEach((one) => (one.hidden = true)); // until there is something to say
  let open = false;

  /** @returns {ShownAttention | null} null while nothing was read, or state and arrays do not belong together yet */
  function shown() {
    const pane = model.get("pane");
    const arrays = pane.layers ? unpack(pane.arrays, model.get("pane_pixels")) : null;
    if (!arrays) return null;
    const [matrix, places, likeness, ...rest] = arrays;
    const count = pane.layers.length;
    return { ...pane, matrix, places, likeness, thumbs: rest.slice(0, count), colours: rest.slice(count) };
  }

  function update() {
    const pane = model.get("pane");
    if (pane?.tab !== "attention") return leave();
    open = true;
    const now = shown();
    if (pane.layers && !now) return;
    hint.hidden = Boolean(now);
    body.hidden = why.hidden = !now;
    say(words, pane.hint);
    say(ask, pane.asks);
    ask.hidden = !pane.asks;
    untrained.hidden = !pane.untrained;
    checked.hidden = !now || Boolean(pane.doubt);
    doubt.hidden = !now || !pane.doubt;
    say(why, pane.doubt ? `Not checked: ${pane.doubt}.` : "");
    if (now) return parts.forEach((part) => part.update?.(now, 0));
    picture.point(null);
    say(picture.readout, "");
  }

  // The picture is everybody's: no square of ours stays on it.
  function leave() {
    if (!open) return;
    open = false;
    picture.point(null);
    say(picture.readout, "");
  }

  update();
  // The view of features speaks of its own units when these change, seen or not.
  const stop = watch(model, ["pane", "pane_pixels", "state", "pixels", "picture"], update);
  return () => {
    stop();
    leave();
  };
}

export default { render };
