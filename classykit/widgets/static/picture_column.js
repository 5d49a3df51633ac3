// @ts-check
// The picture or clip that goes in, the button that runs the model, and what the model says of it.

const LARGEST = 6e6; // bytes; a larger picture is made smaller before it travels, as notebook servers drop big messages
const SIDE = 2048;
const PACE = 160; // milliseconds a frame when a clip plays

async function readPicture(/** @type {File} */ file) {
  if (file.size <= LARGEST) return file.arrayBuffer();
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = h("canvas", { width: Math.round(bitmap.width * scale), height: Math.round(bitmap.height * scale) });
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  /** @type {Blob | null} */
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.95));
  if (!blob) throw new Error("no picture");
  return blob.arrayBuffer();
}

// Where in a clip one is: a slider over its frames, and a button that plays them. What plays is not sent, where it
// stops is.
function timeline(/** @type {Model<FeatureTraits>} */ model) {
  let timer = 0;
  const sign = s("path", { fill: "currentColor" });
  const button = h(
    "button",
    { type: "button", class: "ck-icon ck-play", on: { click: () => (timer ? stop() : play()) } },
    s("svg", { viewBox: "0 0 10 10", width: 10, height: 10, "aria-hidden": "true" }, sign),
  );
  const slider = h("input", { type: "range", class: "ck-slider", min: "0", step: "1" });
  const words = h("span", { class: "ck-soft ck-small", "aria-hidden": "true" });
  const step = h("div", { class: "ck-soft ck-small", "aria-hidden": "true" });
  const node = h("div", { class: "ck-timeline" }, h("div", { class: "ck-time" }, button, slider, words), step);

  const steps = () => model.get("state")?.features?.steps ?? 1;
  const frames = () => model.get("frames") ?? [];
  const moments = () => Math.max(frames().length, steps());
  const now = () => clamp(model.get("frame") ?? 0, 0, moments() - 1);
  // Which of so many frames or time steps belongs to the moment.
  const of = (/** @type {number} */ count) => Math.floor((now() * count) / moments());

  slider.addEventListener("input", () => {
    stop();
    go(Number(slider.value));
  });
  slider.addEventListener("keydown", (event) => {
    // To the first moment of the next time step, or the one before: a block may have fewer than the clip has frames.
    const turn = event.key === "PageUp" ? 1 : event.key === "PageDown" ? -1 : 0;
    if (!turn) return;
    stop();
    go(clamp(Math.ceil(((of(steps()) + turn) * moments()) / steps()), 0, moments() - 1));
    event.preventDefault();
  });

  function go(/** @type {number} */ moment) {
    model.set("frame", moment);
    model.save_changes();
  }

  function play() {
    timer = setInterval(() => model.set("frame", (now() + 1) % moments()), PACE);
    update();
  }

  function stop() {
    if (!timer) return;
    clearInterval(timer);
    timer = 0;
    update();
    model.save_changes();
  }

  function update() {
    const count = moments();
    node.hidden = count < 2;
    if (timer && node.hidden) stop();
    put(sign, "d", timer ? "M1 0h3v10h-3zM6 0h3v10h-3z" : "M1 0l9 5l-9 5z");
    put(button, "aria-label", timer ? "Pause" : "Play");
    put(button, "title", timer ? "Pause" : "Play");
    const what = frames().length ? "Frame" : "Time step";
    put(slider, "aria-label", what);
    put(slider, "max", count - 1);
    slider.value = String(now());
    const time = model.get("state")?.features?.times?.[of(steps())];
    put(slider, "aria-valuetext", [`${what.toLowerCase()} ${now() + 1} of ${count}`, time].filter(Boolean).join(", "));
    say(words, `${now() + 1} / ${count}`);
    say(step, time);
  }

  return { node, update, stop, frame: () => frames()[of(frames().length)], step: () => of(steps()) };
}

/**
 * The column, and what the views beside it may ask of it.
 * @param {Props<FeatureTraits>} props
 * @returns {PictureColumn}
 */
function render({ model, el }) {
  const time = timeline(model);
  /** @type {(() => void)[]} */
  const moved = [];
  let guessed = true; // whether what the model says has its place here
  const source = () => model.get("source") ?? {};
  const select = choice("Picture", (name) => send(model, { type: "image", name }), { hideLabel: true });
  const file = h("input", { type: "file", accept: "image/*", class: "ck-file", "aria-label": "Upload a picture" });
  const upload = h("label", { class: "ck-button ck-upload", title: "Upload a picture, or drop one on the picture" }, file, h("span", { "aria-hidden": "true", text: "Upload" }));
  const choose = h("div", { class: "ck-picture-choice" }, select.node, upload);
  const given = h("div", { class: "ck-soft ck-small" });
  const image = h("img", { class: "ck-picture", draggable: "false" });
  const below = h("div");
  const square = h("span", { class: "ck-square", hidden: true });
  const frame = h("div", { class: "ck-picture-frame" }, image, square);
  const readout = h("div", { class: "ck-readout ck-soft", id: unique() });
  const button = h("button", { type: "button", class: "ck-button ck-primary" });
  const runText = h("span", { class: "ck-soft ck-small" });
  const run = h("div", { class: "ck-run" }, button, runText);
  const guesses = h("div", { class: "ck-rows" });
  const title = h("h4", { class: "ck-guess-title" });
  const section = h("section", {}, title, guesses);

  button.addEventListener("click", () => {
    if (!model.get("busy")) send(model, { type: "run" });
  });
  file.addEventListener("change", () => {
    if (file.files?.length) take(file.files[0]);
    file.value = ""; // so that the same file can be chosen again
  });
  const over = (/** @type {boolean} */ on) => (/** @type {DragEvent} */ event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    frame.classList.toggle("ck-over", on);
  };
  el.addEventListener("dragenter", over(true));
  el.addEventListener("dragover", over(true));
  el.addEventListener("dragleave", over(false));
  el.addEventListener("drop", (event) => {
    over(false)(event);
    const dropped = event.dataTransfer?.files[0];
    if (dropped) take(dropped);
  });
  // A picture from the clipboard, wherever in the app the focus is; text goes where it is pasted.
  const app = /** @type {HTMLElement} */ (el.closest(".classykit-explorer") ?? el);
  const onPaste = (/** @type {ClipboardEvent} */ event) => {
    const pasted = event.clipboardData?.files[0];
    if (!pasted || event.defaultPrevented) return;
    event.preventDefault();
    event.stopPropagation(); // a notebook would make a cell of it
    take(pasted);
  };
  app.addEventListener("paste", onPaste);

  dress(el, "ck-picture-column");
  el.replaceChildren(
    choose,
    given,
    frame,
    time.node,
    readout,
    run,
    section,
    below,
  );

  async function take(/** @type {File} */ file) {
    try {
      send(model, { type: "upload", name: file.name }, [await readPicture(file)]);
    } catch {
      const size = `${Math.round(file.size / 1e6)} MB`;
      model.set("error", `${file.name} is no picture: of ${size}, it must be made smaller here, and this browser cannot read it.`);
      model.save_changes();
    }
  }

  function update() {
    const now = source();
    select.update((now.images ?? []).map((item) => ({ id: item.name, label: item.label })), now.image);
    put(select.select, "aria-label", now.clip ? "Clip" : "Picture");
    upload.hidden = !now.uploads; // files are pictures
    const runs = now.runs ?? true;
    choose.hidden = frame.hidden = Boolean(now.example) || !runs; // what it is called with was given, or nothing is
    say(given, now.example ? `example: ${now.example}` : runs ? "" : `takes ${now.takes}`);
    given.hidden = !given.textContent;
    run.hidden = !runs || Boolean(now.lacks); // nothing to run on yet
    show();
    const busy = Boolean(model.get("busy"));
    say(button, busy ? "Running…" : "Run");
    put(button, "aria-disabled", busy ? "true" : null);
    put(button, "aria-busy", busy ? "true" : null);
    say(runText, now.run_text);
    const list = now.predictions ?? [];
    section.hidden = !list.length || !guessed;
    say(title, now.prediction_title);
    follow(
      guesses,
      list.map((item, rank) => ({ ...item, rank })),
      (item) => String(item.rank),
      () => row(),
    );
  }

  function shown() {
    const picture = (source().clip ? time.frame() : model.get("picture")) ?? "";
    return picture.startsWith("data:image/") ? picture : "";
  }

  function show() {
    const now = source();
    const picture = shown();
    put(image, "src", picture || null);
    put(image, "alt", picture ? `the ${now.clip ? "clip" : "picture"}: ${now.image || "yours"}` : "");
    image.hidden = !picture;
  }

  /**
   * What one unit sees of the picture, or the cell that lies under it; never so small that one cannot see it.
   * @param {{ x: number, y: number, width: number, height: number, field: Window2d | null } | null} at
   */
  function point(at) {
    square.hidden = !at;
    if (!at) return;
    const [top, height] = span(at.y, at.height, at.field, 0);
    const [left, width] = span(at.x, at.width, at.field, 1);
    square.style.left = `${100 * (left + width / 2)}%`;
    square.style.top = `${100 * (top + height / 2)}%`;
    square.style.width = `max(${100 * width}%, 6px)`;
    square.style.height = `max(${100 * height}%, 6px)`;
  }

  /**
   * [start, length] along an axis of the picture, as parts of it; what lies in the padding is cut off.
   * @type {(position: number, positions: number, field: Window2d | null, axis: number) => [number, number]}
   */
  function span(position, positions, field, axis) {
    if (!field) return [position / positions, 1 / positions];
    const extent = field.image[axis];
    const start = field.offset[axis] + position * field.stride[axis];
    const from = clamp(start, 0, extent);
    return [from / extent, (clamp(start + field.size[axis], from, extent) - from) / extent];
  }

  function move() {
    time.update();
    show();
    moved.forEach((act) => act());
  }

  function refresh() {
    time.update();
    update();
  }

  refresh();
  const stops = [
    watch(model, ["state", "source", "picture", "frames", "busy"], refresh),
    watch(model, ["frame"], move),
    time.stop,
    () => app.removeEventListener("paste", onPaste),
  ];
  return {
    readout,
    point,
    below,
    shown,
    guesses(on) {
      if (guessed === on) return;
      guessed = on;
      update();
    },
    step: time.step,
    onMove: (act) => moved.push(act),
    stop: () => stops.forEach((stop) => stop()),
  };
}

export default { render };
