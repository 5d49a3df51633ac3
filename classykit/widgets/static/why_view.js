// @ts-check
// Why: the evidence for a class over the picture, what it is made of, and the same at every depth.

const SHOWN = [
  { id: "picture", label: "on the picture" },
  { id: "map", label: "the map alone" },
];
const SPANS = [
  { id: "map", label: "each map" },
  { id: "shared", label: "shared" },
];

/** @typedef {{ channel: number, share: number, value: string }} Part */

/**
 * What each channel adds and takes away, as bars from a common zero; a click looks at the channel.
 * @param {(channel: number) => void} choose
 */
function parts(choose) {
  const node = h("div", { class: "ck-why-parts" });
  let [low, high] = [0, 1];
  let maps = true; // a vector's channels have no view of their own
  /** @type {(part: Part) => Follower<Part>} */
  const create = ({ channel }) => {
    const fill = h("i");
    const zero = h("u");
    const value = h("span", { class: "ck-value" });
    const track = h("span", { class: "ck-why-track", "aria-hidden": "true" }, fill, zero);
    const button = h(
      "button",
      { type: "button", class: "ck-why-part", on: { click: () => choose(channel) } },
      h("span", { class: "ck-soft", text: `channel ${channel}` }),
      track,
      value,
    );
    return {
      node: button,
      update({ share, value: text }) {
        const at = (/** @type {number} */ of) => (100 * (of - low)) / (high - low);
        fill.style.left = `${at(Math.min(share, 0))}%`;
        fill.style.width = `${at(Math.max(share, 0)) - at(Math.min(share, 0))}%`;
        fill.classList.toggle("ck-against", share < 0);
        zero.style.left = `${at(0)}%`;
        put(button, "disabled", !maps);
        say(value, text);
      },
    };
  };
  return {
    node,
    update(/** @type {Part[]} */ now, /** @type {boolean} */ places) {
      maps = places;
      const shares = now.map((part) => part.share);
      [low, high] = [Math.min(0, ...shares), Math.max(0, ...shares) || 1e-9];
      follow(node, now, (part) => String(part.channel), create);
    },
  };
}

/** @param {Props<PaneTraits>} props */
function reasons({ model, el }) {
  const chip = h("span", { class: "ck-chip" });
  const untrained = h("span", { class: "ck-chip ck-chip-untrained", text: "untrained" });
  const words = h("p", { class: "ck-why-words" });
  const sum = h("p", { class: "ck-why-sum" });
  const notes = h("p", { class: "ck-soft ck-small" });
  const count = h("span", { class: "ck-soft ck-small" });
  const more = h("p", { class: "ck-soft ck-small", text: "Choose a channel to see what else excites it." });
  const list = parts((channel) => {
    send(model, { type: "why_channel", channel });
    model.set("tab", "features"); // where one channel is looked at
    model.save_changes();
  });
  el.replaceChildren(
    h("div", {}, chip, " ", untrained),
    words,
    sum,
    notes,
    h("div", { class: "ck-why-lead" }, h("b", { text: "What it is made of" }), count),
    list.node,
    more,
  );
  return (/** @type {any} */ pane) => {
    say(chip, pane.exact ? "✓ exact" : "approximate (Grad-CAM)");
    chip.classList.toggle("ck-chip-trained", pane.exact);
    chip.classList.toggle("ck-chip-untrained", !pane.exact);
    untrained.hidden = !pane.untrained;
    say(words, pane.why);
    sum.hidden = !pane.sum;
    if (pane.sum) {
      const { map, of, sign, bias, score, is } = pane.sum;
      const pairs = [[map, `${of} `], [`${sign} ${bias}`, "bias "], [`= ${score}`, is]];
      sum.replaceChildren(...pairs.flatMap(([number, word]) => [h("b", { text: number }), ` ${word}`]));
    }
    say(notes, pane.notes.join(" "));
    notes.hidden = !pane.notes.length;
    say(count, pane.parts);
    list.update(pane.channels, pane.places);
    more.hidden = !pane.places;
  };
}

/** @param {ViewProps<PaneTraits>} props */
function render({ model, el, tools, picture }) {
  let alone = false;
  let shared = false;
  const [classes, maps, right, strip] = Array.from({ length: 4 }, () => h("div"));
  const title = h("b");
  const show = choice("show", (id) => {
    alone = id === "map";
    update();
  });
  const scale = choice("scale", (id) => {
    shared = id === "shared";
    update();
  });
  const instead = h("p", { class: "ck-soft ck-small" });
  const nowhere = h("p", { class: "ck-hint ck-soft", text: "No place to show: the head sees a vector." });
  const middle = h(
    "div",
    { class: "ck-why-middle" },
    h("div", { class: "ck-why-lead" }, title, show.node),
    instead,
    maps,
    nowhere,
  );
  const legend = "each map in its own scale; = exact, ≈ approximate (Grad-CAM: gradients, averaged)";
  const scaled = h("span", { class: "ck-soft ck-small" });
  const depth = h("div", { class: "ck-why-depth" }, h("div", {}, h("b", { text: "The same at every depth" }), " ", scaled), strip);
  const reason = h("span");
  const button = h("button", { type: "button", class: "ck-button ck-primary", text: "Show why" });
  const hint = h("div", { class: "ck-hint ck-soft ck-why-hint" }, reason, button);
  const main = h("div", { class: "ck-why-main" }, middle, right);
  classes.classList.add("ck-why-left");
  right.classList.add("ck-why-right");
  el.classList.add("ck-why-view");
  el.replaceChildren(hint, classes, main, depth);
  tools.replaceChildren(scale.node);

  const asked = why_classes.render({ model, el: classes });
  const drawn = why_maps.render({ model, el: maps, tools: strip, picture });
  const explain = reasons({ model, el: right });

  for (const part of [hint, classes, main, depth]) part.hidden = true; // until there is something to show
  tools.classList.add("ck-none");
  button.addEventListener("click", () => {
    const { offer } = model.get("pane") ?? {};
    if (model.get("busy")) return;
    if (!offer) return send(model, { type: "why" });
    send(model, { type: "select", block: offer.block });
    send(model, { type: "attach", head: offer.head, num_classes: offer.classes });
  });

  function update() {
    const pane = model.get("pane");
    if (pane?.tab !== "why") return;
    const nothing = Boolean(pane.reason);
    hint.hidden = !nothing;
    classes.hidden = main.hidden = nothing;
    depth.hidden = nothing || !pane.places;
    tools.classList.toggle("ck-none", depth.hidden);
    if (nothing) {
      say(reason, pane.reason);
      say(button, pane.button);
      button.hidden = !pane.button;
      picture.point(null);
      return say(picture.readout, "");
    }
    show.update(SHOWN, alone ? "map" : "picture");
    show.node.hidden = !pane.places || !pane.pictured;
    scale.update(SPANS, shared ? "shared" : "map");
    say(title, pane.title);
    say(instead, pane.instead);
    instead.hidden = !pane.instead;
    nowhere.hidden = pane.places;
    say(scaled, shared ? legend.replace("each map in its own scale", "maps of a kind in one scale") : legend);
    asked.update(pane);
    drawn.update(pane, alone, shared);
    explain(pane);
    say(picture.readout, pane.places ? "Point at the map to see where in the picture that is." : "");
  }

  el.addEventListener("ck-shown", update);
  update();
  const stops = [watch(model, ["pane", "pane_pixels", "picture"], update), asked.stop, drawn.stop];
  return () => stops.forEach((stop) => stop());
}

export default { render };
