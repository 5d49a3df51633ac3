"""A real JupyterLab, a real kernel and a real Chromium, all on this machine, for tests to drive.

A test does what a person does and looks at what a person sees; `kernel_eval` then asks the kernel whether it
agrees. The fixtures are in conftest.py.
"""

import ast
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from jupyter_client import BlockingKernelClient

REPOSITORY = Path(__file__).resolve().parents[2]
LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"

# What a person would set in the Settings editor. Windowing "none" keeps all cells in the DOM.
SETTINGS = {
    "apputils-extension/notification": {"checkForUpdates": False, "fetchNews": "false"},
    "apputils-extension/themes": {"theme": LIGHT},
    "notebook-extension/tracker": {"windowingMode": "none"},
}

# Console errors that are not ours, as (regex, why). Keep it short.
IGNORED_CONSOLE: list[tuple[str, str]] = []

# Seconds that a page may take for one thing on a machine that has much else to do. What is waited for is seen at once
# when it is there: a failure alone takes so long.
PATIENCE = 90

CHROMIUM_ARGS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Lab:
    """JupyterLab on 127.0.0.1: a free port, a random token, configuration folders of its own."""

    def __init__(self, folder: Path, start_timeout: float = 2 * PATIENCE):
        self.folder, self.root, self.token = folder, folder / "root", secrets.token_hex(16)
        self.root.mkdir()
        self.log = folder / "server.log"
        env = dict(os.environ, JUPYTER_TOKEN=self.token, PYDEVD_DISABLE_FILE_VALIDATION="1")
        # Kernels start in `root`, and must import this checkout, installed or not.
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), env.get("PYTHONPATH")]))
        for kind in (
            "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR",
            "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR",
        ):  # fmt: skip
            (folder / kind.lower()).mkdir()
            env[kind] = str(folder / kind.lower())
        self.reset_settings()
        self.runtime = folder / "jupyter_runtime_dir"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
                    "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0", f"--ServerApp.root_dir={self.root}",
                    "--LabApp.news_url=None",
                    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                    "--expose-app-in-browser", "--JupyterNotebookApp.expose_app_in_browser=True",
                ],
                env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        try:
            self._wait_until_it_answers(time.monotonic() + start_timeout)
        except BaseException:
            self.close()
            raise

    def _wait_until_it_answers(self, deadline: float) -> None:
        info = self.runtime / f"jpserver-{self.process.pid}.json"
        while True:  # the info file appears before the socket listens
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()}")
            try:
                self.url = json.loads(info.read_text())["url"]
                self.api("api/status")
                return
            except (OSError, ValueError, urllib.error.URLError):
                time.sleep(0.05)

    def reset_settings(self) -> None:
        """Back to `SETTINGS` for pages opened from now on: Lab remembers a theme that a test chose."""
        for name, values in SETTINGS.items():
            file = self.folder / "jupyterlab_settings_dir" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))

    def api(self, path: str, method: str = "GET"):
        """Call the server's REST interface; the decoded answer, or None when it is empty."""
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def add(self, notebook: Path | str) -> str:
        """The notebook's path inside Lab: a copy, so that Lab never saves into the repository.

        A relative path is looked up in Lab's own root first, then in the repository.
        """
        if not Path(notebook).is_absolute() and (self.root / notebook).is_file():
            return str(notebook)
        source = REPOSITORY / notebook
        shutil.copy(source, self.root / source.name)
        if (exercises := source.with_name("exercises.json")).is_file():  # a lesson's answers lie beside it
            shutil.copy(exercises, self.root / exercises.name)
        return source.name

    def stop_kernels(self) -> None:
        """End every kernel: each may hold a model."""
        for session in self.api("api/sessions"):
            try:
                self.api(f"api/sessions/{session['id']}", "DELETE")
            except urllib.error.HTTPError as error:
                if error.code not in (404, 410):  # it went by itself
                    raise

    def close(self) -> None:
        if self.process.poll() is None:
            try:
                self.api("api/shutdown", "POST")  # ends the kernels too
            except Exception:
                self.process.terminate()  # so does SIGTERM
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


def find_chromium(playwright) -> str | None:
    """The browser's program: $CHROMIUM, the system's, or the one that Playwright installed."""
    if chosen := os.environ.get("CHROMIUM"):
        return shutil.which(chosen)
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None


@contextmanager
def watched_page(browser, **context_options):
    """A page that writes down what must not happen.

    ``page.problems`` lists console errors, page errors and HTTP answers from 400 on; ``page.outside`` the
    requests that wanted to leave this machine, which are aborted. `check` asserts that both are empty.
    """
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 1400}, **context_options})
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    page.problems, page.outside = [], []

    def abort(route):
        page.outside.append(route.request.url)
        route.abort()

    def on_console(message):
        known = any(re.search(pattern, message.text) for pattern, _ in IGNORED_CONSOLE)
        if message.type == "error" and not known:
            page.problems.append(f"console: {message.text} ({(message.location or {}).get('url')})")

    def on_response(response):
        if response.status >= 400:
            page.problems.append(f"HTTP {response.status}: {response.url}")

    context.route(re.compile(r"^(?!https?://(127\.0\.0\.1|localhost)[:/]|data:|blob:|file:)"), abort)
    page.on("console", on_console)
    page.on("pageerror", lambda error: page.problems.append(f"page error: {error}"))
    page.on("response", on_response)
    try:
        yield page
    finally:
        context.close()


def check(page) -> None:
    """Fail when the page had an error, or a request that wanted to leave this machine."""
    assert page.problems == [], "\n".join(page.problems)
    assert page.outside == [], "\n".join(page.outside)


# How many different colours a canvas shows, or the one that lies over a map's cell there: a blank or half-drawn map has
# few.
COLOURS = """node => {
    const canvas = node.matches('canvas') ? node : node.closest('.ck-grid').querySelector('canvas');
    const [all, own] = [canvas.getBoundingClientRect(), node.getBoundingClientRect()];
    const scale = canvas.width / all.width;
    const box = [own.x - all.x, own.y - all.y, own.width, own.height].map((n) => Math.round(n * scale));
    const d = canvas.getContext('2d').getImageData(...box).data;
    const seen = new Set();
    for (let i = 0; i < d.length; i += 4) seen.add((d[i] << 16) | (d[i + 1] << 8) | d[i + 2]);
    return seen.size;
}"""


def accessible(page, within: str = ".classykit-explorer") -> None:
    """Fail when axe-core finds something that some people cannot see, reach or be told."""
    # JupyterLab's body is of no height and hides what runs over: axe takes all that is in it for hidden, and passes it
    page.evaluate("() => { document.body.style.minHeight = '100vh' }")
    found = Axe().run(page, context=within).response["violations"]
    assert not found, "\n".join(f"{v['id']}: {v['help']}: {[n['html'][:200] for n in v['nodes'][:5]]}" for v in found)


def open_notebook(page, lab: Lab, notebook: Path | str, front: str = "lab/tree") -> str:
    """Open a copy of the notebook and wait for its kernel. Returns the kernel's id.

    ``front``: "lab/tree" for JupyterLab, "notebooks" for Notebook 7. The notebook's metadata must name its kernel
    (``kernelspec``), or Lab asks for one in a dialog.
    """
    # ?reset: nothing is restored from an earlier test
    page.goto(f"{lab.url}{front}/{lab.add(notebook)}?token={lab.token}&reset")
    page.locator(".jp-NotebookPanel .jp-Notebook").wait_for()
    page.locator("#jupyterlab-splash").wait_for(state="detached")
    # Asked to run before its kernel is idle, Lab drops the request or opens a dialog.
    page.wait_for_function(
        """() => {
            const panel = window.jupyterapp?.shell.currentWidget;
            return panel?.context?.isReady && panel.sessionContext?.session?.kernel?.status === 'idle';
        }""",
        timeout=2000 * PATIENCE,
    )
    return page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.id")


def run_all(page, lab: Lab, notebook: Path | str, timeout: float = 6 * PATIENCE, front: str = "lab/tree") -> str:
    """Open a copy of the notebook, run every cell, fail on a cell's error. Returns the kernel's id.

    `timeout` is in seconds. On return the kernel is idle; what widgets do after that, a test waits for.
    """
    kernel = open_notebook(page, lab, notebook, front)
    started = page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    assert started is not False, "JupyterLab refused to run the notebook"
    page.wait_for_function(
        """() => {
            const panel = window.jupyterapp.shell.currentWidget;
            const code = panel.content.widgets.filter(
                c => c.model.type === 'code' && c.model.sharedModel.source.trim());
            return panel.sessionContext.session.kernel.status === 'idle'
                && code.every(c => c.model.executionCount !== null && c.model.executionState !== 'running');
        }""",
        timeout=timeout * 1000,
    )
    errors = page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.widgets
            .filter(c => c.model.type === 'code').flatMap(c => c.model.outputs.toJSON())
            .filter(o => o.output_type === 'error').map(o => `${o.ename}: ${o.evalue}`)"""
    )
    assert errors == [], "\n".join(errors)
    return kernel


def kernel_eval(lab: Lab, kernel: str, **expressions: str) -> dict:
    """Evaluate Python expressions in the page's own kernel: ``kernel_eval(lab, kid, n="slider.value")``.

    A second client asks, so the answer does not come from the page. Results are Python literals.
    """
    client = BlockingKernelClient(connection_file=str(lab.runtime / f"kernel-{kernel}.json"))
    client.load_connection_file()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE)
        reply = client.execute_interactive(
            "", silent=True, store_history=False, user_expressions=expressions, timeout=PATIENCE,
            output_hook=lambda message: None,
        )  # fmt: skip
    finally:
        client.stop_channels()
    results = reply["content"]["user_expressions"]
    failed = {k: f"{r['ename']}: {r['evalue']}" for k, r in results.items() if r["status"] != "ok"}
    assert not failed, failed
    return {name: ast.literal_eval(r["data"]["text/plain"]) for name, r in results.items()}


def set_theme(page, theme: str) -> None:
    """Switch JupyterLab to `LIGHT` or `DARK`, and wait until it has happened."""
    page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)
    page.locator("#jupyterlab-splash").wait_for(state="detached")  # it covers the page meanwhile


def ink(image, threshold: int = 600) -> int:
    """How many opaque pixels of an <img> (a locator) are dark: red + green + blue below `threshold` of 765.

    A blank figure is an <img> too; only its pixels tell.
    """
    return image.evaluate(
        """async (img, threshold) => {
            await img.decode();
            const canvas = new OffscreenCanvas(img.naturalWidth, img.naturalHeight);
            const context = canvas.getContext('2d');
            context.drawImage(img, 0, 0);
            const d = context.getImageData(0, 0, canvas.width, canvas.height).data;
            let n = 0;
            for (let i = 0; i < d.length; i += 4) n += d[i + 3] > 9 && d[i] + d[i + 1] + d[i + 2] < threshold;
            return n;
        }""",
        threshold,
    )
