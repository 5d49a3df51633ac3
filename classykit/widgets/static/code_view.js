// @ts-check
// The code that makes what is on the screen, always true.

/** @param {Props<CodeTraits>} props */
function render({ model, el }) {
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

  el.replaceChildren(
    h("div", { class: "ck-code-head" }, h("span", { class: "ck-soft", text: "The same in Python" }), h("span", { class: "ck-code-copy" }, said, copy)),
    pre,
  );
  const update = () => say(pre, model.get("code"));
  update();
  const stop = watch(model, ["code"], update);
  return () => {
    clearTimeout(timer);
    stop();
  };
}

export default { render };
