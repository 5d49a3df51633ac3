"""A real marimo with the Explorer in a notebook of its own, on this machine, for tests to drive.

Marimo's kernel takes no questions from outside: a thread in the notebook answers those that are put into its folder.
"""

import ast
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from lab import PATIENCE, REPOSITORY

NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import classykit as ck
    import marimo_server

    explorer = ck.explore("efficientnet_lite0")
    marimo_server.answer({"app": explorer}, "FOLDER")
    explorer
    return


if __name__ == "__main__":
    app.run()
"""


class Marimo:
    """``marimo run`` of that notebook on 127.0.0.1."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "explore.py").write_text(NOTEBOOK.replace("FOLDER", str(folder)))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        path = os.pathsep.join([str(REPOSITORY), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
        self.log = folder / "server.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "marimo", "-y", "run", "explore.py", "--headless", "--no-token",
                 "--host", "127.0.0.1", "--port", str(port)],
                cwd=folder, env={**os.environ, "PYTHONPATH": path, "MARIMO_SKIP_UPDATE_CHECK": "1"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            self._wait_until_it_answers(time.monotonic() + 2 * PATIENCE)
        except BaseException:
            self.close()
            raise

    def _wait_until_it_answers(self, deadline: float) -> None:
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"marimo did not start:\n{self.log.read_text()}")
            try:
                urllib.request.urlopen(self.url, timeout=20).close()
                return
            except (OSError, urllib.error.URLError):
                time.sleep(0.05)

    def ask(self, **expressions: str) -> dict:
        """Evaluate Python expressions in the notebook's process. Results are Python literals."""
        question, answer = self.folder / "question.json", self.folder / "answer.json"
        question.with_suffix(".new").write_text(json.dumps(expressions))
        question.with_suffix(".new").rename(question)
        deadline = time.monotonic() + PATIENCE
        while not answer.exists():
            assert time.monotonic() < deadline, "the notebook does not answer"
            time.sleep(0.02)
        found = json.loads(answer.read_text())
        answer.unlink()
        return {name: ast.literal_eval(value) for name, value in found.items()}

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)


def answer(names: dict, folder: str) -> None:
    """In the notebook: answer what `Marimo.ask` asks, from a thread."""

    def answering() -> None:
        question, reply = Path(folder, "question.json"), Path(folder, "answer.json")
        while True:
            if question.exists():
                asked = json.loads(question.read_text())
                question.unlink()
                given = {name: repr(eval(expression, names)) for name, expression in asked.items()}
                reply.with_suffix(".new").write_text(json.dumps(given))
                reply.with_suffix(".new").rename(reply)
            time.sleep(0.02)

    threading.Thread(target=answering, daemon=True).start()
