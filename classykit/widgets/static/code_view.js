// @ts-check
// The code that makes what is on the screen, always true; and what is on the screen as files.

const FILES = [
  { label: "Code", kinds: ["code.py"] },
  { label: "Config", kinds: ["config.json"] },
  { label: "Blocks", kinds: ["blocks.csv"] },
  { label: "Map", kinds: ["map.svg", "map.png"] },
  { label: "This tab", kinds: ["view.svg", "view.png"] },
  { label: "All of it, offline", kinds: ["page.html"] },
];

function download(/** @type {string} */ name, /** @type {DataView} */ bytes) {
  const address = URL.createObjectURL(new Blob([/** @type {BlobPart} */ (bytes)]));
  const link = h("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** @param {Props<CodeTraits> & { kinds?: { label: string, kinds: string[] }[] }} props */
function render({ model, el, kinds = FILES }) {
  dress(el, "ck-code");
  const pre = h("pre", { class: "ck-code-text", tabindex: "0", role: "region", "aria-label": "Code" });
  const said = h("span", { class: "ck-soft ck-small", role: "status" });
  const copy = h("button", { type: "button", class: "ck-button", text: "Copy code" });
  let timer = 0;

  // Without a secure connection there is no clipboard object: the older command does it.
  async function toClipboard(/** @type {string} */ text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = h("textarea", { class: "ck-hidden", "aria-hidden": "true" });
      area.value = text;
      el.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      copy.focus({ preventScroll: true });
      return done;
    }
  }

  copy.addEventListener("click", async () => {
    const done = await toClipboard(model.get("code") ?? "");
    say(said, done ? "Copied" : "Could not copy: select the code and copy it by hand");
    clearTimeout(timer);
    timer = setTimeout(() => say(said, ""), 3000);
  });

  const open = h("button", { type: "button", class: "ck-button", text: "Save", "aria-expanded": "false" });
  const files = kinds.map(({ label, kinds: all }) => {
    const buttons = all.map((file) =>
      h("button", { type: "button", class: "ck-button ck-file-kind", text: file.split(".")[1], "aria-label": `Save ${file}`,
        on: { click: () => send(model, { type: "save", file }) } }),
    );
    return h("span", { class: "ck-file-of" }, h("span", { class: "ck-soft", text: label }), ...buttons);
  });
  const shelf = h("div", { class: "ck-files", role: "group", "aria-label": "Files", hidden: true }, ...files);
  open.addEventListener("click", () => {
    shelf.hidden = !shelf.hidden;
    put(open, "aria-expanded", shelf.hidden ? "false" : "true");
  });
  const head = h("div", { class: "ck-code-head" },
    h("span", { class: "ck-soft", text: "The same in Python" }),
    h("span", { class: "ck-code-copy" }, said, open, copy),
  );
  el.replaceChildren(head, shelf, pre);
  const update = () => say(pre, model.get("code"));
  update();
  const stops = [
    watch(model, ["code"], update),
    hear(model, (message, [bytes]) => {
      if (message.type === "file") download(message.name, bytes);
    }),
  ];
  return () => {
    clearTimeout(timer);
    stops.forEach((stop) => stop());
  };
}

export default { render };
