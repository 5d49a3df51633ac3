"""A lesson as a page: its notebook as Markdown, with the outputs that are saved in it. Nothing is run.

The notebook goes through the site's own Markdown, so that its links and anchors are checked with all others, it has
the site's colours in light and dark, and loads nothing from elsewhere.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat

LESSON = re.compile(r"\d\d_\w+\.ipynb")
FOR_TESTS = "# NBVAL_IGNORE_OUTPUT\n"  # no reader's business
FIGURES = {"image/png": "png", "image/jpeg": "jpg"}


class Lesson:
    """A notebook of the course.

    Args:
        path: of the students' version.
    """

    def __init__(self, path: Path):
        self.path = path
        self.name = path.stem
        self.page = f"lessons/{self.name}.md"
        self.figures: dict[str, bytes] = {}  # {path in the site: picture}, filled by `markdown`

    @cached_property
    def _cells(self) -> list[Any]:
        return nbformat.read(self.path, as_version=4).cells

    @cached_property
    def _words(self) -> str:
        return "\n\n".join(cell.source for cell in self._cells if cell.cell_type == "markdown")

    @property
    def title(self) -> str:
        """Its first heading."""
        return re.search(r"^# (.+)$", self._words, re.MULTILINE)[1]

    @property
    def question(self) -> str:
        """What it asks; where it asks nothing, its first paragraph."""
        asked = re.search(r"\*\*The question\.\*\* (.+)", self._words)
        return asked[1] if asked else re.search(r"^(?!#)\S.+$", self._words, re.MULTILINE)[0]

    def markdown(self, button: str = "") -> str:
        """The page; ``button`` comes below the title."""
        parts = list(self._parts())
        title = f"# {self.title}"
        return "\n\n".join(parts).replace(title, f"{title}\n\n{button}".rstrip(), 1) + "\n"

    def _parts(self) -> Iterator[str]:
        for cell in self._cells:
            if cell.cell_type == "markdown":
                yield cell.source
            elif cell.cell_type == "code" and cell.source:
                yield fenced(cell.source.removeprefix(FOR_TESTS), "python")
                for output in cell.outputs:
                    yield self._output(output, cell.source)

    def _output(self, output: Any, source: str) -> str:
        if output.output_type == "stream":
            return _printed(output.text)
        if output.output_type == "error":
            return _printed(f"{output.ename}: {output.evalue}")
        for kind, ending in FIGURES.items():
            if kind in output.data:
                path = f"lessons/{self.name}/{len(self.figures) + 1}.{ending}"
                self.figures[path] = base64.b64decode(output.data[kind])
                drawn_by = source.strip().split("\n")[-1].split("  # ")[0].replace('"', "'")
                words = f"Figure: {drawn_by}".replace("[", "\\[").replace("]", "\\]")
                return f"![{words}]({self.name}/{Path(path).name}){{ .figure }}"
        if "text/html" in output.data:
            return f'<div class="output">\n{output.data["text/html"].strip()}\n</div>'
        return _printed(output.data.get("text/plain", ""))


def found(folder: Path) -> list[Lesson]:
    """The lessons of a folder, in their order: whichever are there. Teachers' notebooks lie in another."""
    return [Lesson(path) for path in sorted(folder.iterdir()) if LESSON.fullmatch(path.name)]


def button(lesson: Lesson, repository: str | None) -> str:
    """A link that opens a lesson in Colab, from a repository on GitHub; "" where there is none."""
    owner_and_name = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)/?(?:\.git)?", repository or "")
    if owner_and_name is None:
        return ""
    address = f"https://colab.research.google.com/github/{owner_and_name[1]}/blob/main/notebooks/{lesson.path.name}"
    return f"[Open in Colab]({address}){{ .md-button }}"


def index(lessons: list[Lesson], repository: str | None) -> str:
    """The page that lists the lessons: what each asks."""
    lines = ["# Lessons\n", START]
    for lesson in lessons:
        number = int(lesson.name[:2])
        lines.append(f"## {number}. [{lesson.title}]({lesson.name}.md)\n\n{lesson.question}\n")
        if there := button(lesson, repository):
            lines.append(f"{there}\n")
    return "\n".join(lines)


START = """Each lesson is a notebook that begins with a question. You write down what you expect, then measure, look,
and check your answers; what is wrong gets a hint. A lesson runs offline on a laptop; the pages here show it as it was
saved, with its exercises open.

To do them, take a clone of the repository and open the folder `notebooks` in JupyterLab:

```bash
python3 -m venv .venv && .venv/bin/pip install -e ".[demo]" && .venv/bin/jupyter lab notebooks
```
"""


def _printed(text: str) -> str:
    """What a cell has printed."""
    return f'<div class="output">\n<pre>{html.escape(text.rstrip())}</pre>\n</div>'


def fenced(text: str, language: str) -> str:
    """A block of code, whatever it holds."""
    ticks = max((len(run) for run in re.findall("`{3,}", text)), default=2) + 1
    return f"{'`' * ticks}{language}\n{text.rstrip()}\n{'`' * ticks}"
