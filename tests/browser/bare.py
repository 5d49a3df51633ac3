"""The app on a page of its own, without a notebook: its module runs in Chromium, its Python in this process.

It starts at once, so that a view can be tried in all its states; what hangs on a front end is tested in JupyterLab
and marimo (see lab.py).

    with bare.opened(browser, ck.explore("resnet18"), width=1180, dark=True) as page:
        page.get_by_role("tab", name="Layers").click()
        page.screenshot(path="layers.png", full_page=True)
"""

import base64
import queue
import re
from contextlib import contextmanager

from lab import watched_page

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>classykit</title><style>
body { margin: 12px; background: canvas; color: canvastext; font-family: system-ui, sans-serif; color-scheme: %s; }
</style><style>%s</style></head><body%s><main><h2 style="font-size: 14px">A notebook</h2><div id="app"></div></main>
<script type="module">
import app from "./app.js";
const binary = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
const toText = (buffer) => btoa(Array.from(new Uint8Array(buffer), (c) => String.fromCharCode(c)).join(""));
const state = {}, changed = new Set(), listeners = {};
const tell = (name, ...args) => (listeners[name] ?? []).forEach((act) => act(...args));
function take(updates) {
  for (const update of updates) {
    if (update.message) {
      tell("msg:custom", update.message, update.buffers.map(binary));
      continue;
    }
    for (const [name, value] of Object.entries(update)) {
      state[name] = value?.bytes !== undefined ? binary(value.bytes) : value;
    }
    for (const name of Object.keys(update)) tell(`change:${name}`);
  }
}
const model = {
  get: (name) => state[name],
  set(name, value) {
    if (state[name] === value) return;
    state[name] = value;
    changed.add(name);
    tell(`change:${name}`);
  },
  save_changes() {
    const update = Object.fromEntries([...changed].map((name) => [name, state[name]]));
    changed.clear();
    window.kernel({ update }).then(take);
  },
  send(message, _, buffers = []) { window.kernel({ message, buffers: buffers.map(toText) }).then(take); },
  on(name, act) { (listeners[name] ??= []).push(act); },
  off(name, act) { listeners[name] = (listeners[name] ?? []).filter((other) => other !== act); },
};
take(await window.kernel({}));
app.render({ model, el: document.querySelector("#app") });
setInterval(() => window.kernel({}).then(take), 40);
document.body.dataset.ready = "true";
</script></body></html>"""


class Wire:
    """What a kernel and a front end would do between the app and its module."""

    def __init__(self, app):
        self.app, self.out = app, queue.SimpleQueue()
        self.sent = 0  # bytes, with what the app sends at first
        self.out.put({name: self._plain(value) for name, value in app.get_state().items() if not name.startswith("_")})
        app.comm.send = self._take  # what widgets send goes nowhere without a kernel

    def _plain(self, value):
        if isinstance(value, (bytes, memoryview)):
            return {"bytes": base64.b64encode(value).decode()}
        return None if type(value).__name__ == "Layout" else value

    def _take(self, data=None, metadata=None, buffers=None):
        if data and data.get("method") == "update":
            state = dict(data["state"])
            for path, buffer in zip(data.get("buffer_paths", []), buffers or [], strict=True):
                state[path[0]] = bytes(buffer)
            self.out.put({name: self._plain(value) for name, value in state.items() if not name.startswith("_")})

        elif data and data.get("method") == "custom":
            texts = [base64.b64encode(buffer).decode() for buffer in buffers or []]
            self.out.put({"message": data["content"], "buffers": texts})

    def __call__(self, said):
        if said.get("update"):
            self._handle({"method": "update", "state": said["update"], "buffer_paths": []}, [])
        if said.get("message"):
            buffers = [memoryview(base64.b64decode(text)) for text in said["buffers"]]
            self._handle({"method": "custom", "content": said["message"]}, buffers)
        updates = []
        while not self.out.empty():
            updates.append(self.out.get())
        return updates

    def _handle(self, data, buffers):
        self.app._handle_msg({"content": {"data": data}, "buffers": buffers})


def until(true, page):
    """Wait for what Python works out, while the page goes on; AssertionError when it does not come true."""
    for _ in range(900):
        if true():
            return
        page.wait_for_timeout(100)
    raise AssertionError("it never came true")


@contextmanager
def opened(browser, app, width=1180, height=1000, dark=False):
    """The app's page, as wide as it is told; errors in it are listed as `lab.watched_page` says."""
    scheme = "dark" if dark else "light"
    theme = ' data-jp-theme-light="false"' if dark else ""
    with watched_page(browser, viewport={"width": width, "height": height}, color_scheme=scheme) as page:
        page.expose_function("kernel", Wire(app))
        page.route(re.compile(r"^http://localhost/$"), lambda route: route.fulfill(
            body=PAGE % (scheme, app._css, theme), content_type="text/html; charset=utf-8"))  # fmt: skip
        page.route(re.compile(r"^http://localhost/app\.js$"), lambda route: route.fulfill(
            body=str(app._esm), content_type="text/javascript; charset=utf-8"))  # fmt: skip
        page.route(re.compile(r"favicon"), lambda route: route.fulfill(body=""))
        page.goto("http://localhost/")
        page.locator("body[data-ready]").wait_for()
        yield page
