"""Build the site into build/site: python .ci/site/build.py

Its pages come from the README, the lessons' notebooks as they are saved, the docstrings, benchmarks/RESULTS.md and
pages/; an Explorer is recorded for it. Neither Node nor a network is needed, and the pages ask for nothing outside.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from built import faults
from lessons import Lesson, button, found, index
from links import relinked

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build"
CONFIG = HERE / "mkdocs.yml"

#: files and folders of the repository that are pages under another name; lessons are added as they are found
PAGES = {
    "README.md": "index.md",
    "benchmarks": "figures.md",
    "benchmarks/RESULTS.md": "figures.md",
    "notebooks/teacher": "teachers.md",
}
#: heads a page that has no neighbours to list
ALONE = "---\nhide: [navigation]\n---\n\n"
RECORDED = "explorer/recorded.html"
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def settings() -> dict:
    """What mkdocs.yml says."""
    return yaml.safe_load(CONFIG.read_text(encoding="utf-8"))


def pages(repository: str | None = None) -> tuple[dict[str, str | bytes], list]:
    """({path: what is in it}, the list of pages for the navigation) of all that is made from the repository."""
    from reference import TITLES
    from reference import pages as reference_pages

    lessons = found(ROOT / "notebooks")
    led = PAGES | {f"notebooks/{lesson.path.name}": lesson.page for lesson in lessons}
    pictures = [path.relative_to(ROOT).as_posix() for path in (ROOT / "notebooks").glob("*.png")]
    led |= {path: path for path in pictures}
    made: dict[str, str | bytes] = {path: (ROOT / path).read_bytes() for path in pictures}
    for source in ("README.md", "benchmarks/RESULTS.md"):
        made[led[source]] = ALONE + relinked((ROOT / source).read_text(encoding="utf-8"), source, led[source], led)
    for lesson in lessons:
        made[lesson.page] = _lesson(lesson, repository, led)
        made |= lesson.figures
    made["lessons/index.md"] = index(lessons, repository)
    made |= (reference := reference_pages())
    nav = [
        {"Home": "index.md"},
        {"Lessons": ["lessons/index.md", *({f"{int(one.name[:2])}. {one.title}": one.page} for one in lessons)]},
        {"For teachers": "teachers.md"},
        {"Explorer": "explorer/index.md"},
        {"Reference": [page if page.endswith("index.md") else {TITLES.get(Path(page).stem, Path(page).stem): page}
                       for page in reference]},
        {"Figures": "figures.md"},
    ]  # fmt: skip
    return made, nav


def _lesson(lesson: Lesson, repository: str | None, led: dict[str, str]) -> str:
    text = lesson.markdown(button(lesson, repository))
    figures = {f"notebooks/{lesson.name}/{Path(path).name}": path for path in lesson.figures}
    return relinked(text, f"notebooks/{lesson.path.name}", lesson.page, led | figures)


def record(path: Path) -> None:
    """The Explorer after a run, in one file that needs no Python."""
    import classykit as ck

    path.parent.mkdir(parents=True, exist_ok=True)
    ck.explore("efficientnet_lite0").save_html(path)


def with_formulas(text: str) -> str:
    """A page with its formulas in MathML, which browsers draw by themselves: no script is needed."""
    from latex2mathml.converter import convert

    def drawn(match: re.Match[str]) -> str:
        formula = html.unescape(match[2]).strip()
        if match[1] == "span":
            return convert(formula)
        return f'<div class="formula">{convert(formula, display="block")}</div>'

    return FORMULA.sub(drawn, text)


def main() -> int:
    asked = settings()
    sources, site = BUILD / "pages", BUILD / "site"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(HERE / "pages", sources)
    made, nav = pages(asked["extra"]["repository"])
    for name, text in made.items():
        path = sources / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    record(sources / RECORDED)

    config = BUILD / "mkdocs.yml"
    config.write_text(yaml.safe_dump(asked | {"docs_dir": "pages", "site_dir": "site", "nav": nav}, sort_keys=False))
    search_path = os.pathsep.join([str(HERE), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean", "--config-file", str(config)],
        env=os.environ | {"PYTHONPATH": search_path, "NO_MKDOCS_2_WARNING": "1"},
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        print(done.stdout)
        return done.returncode
    built = sorted(site.rglob("*.html"))
    for path in built:
        if path.relative_to(site).as_posix() != RECORDED:
            path.write_text(with_formulas(path.read_text(encoding="utf-8")), encoding="utf-8")
    wrong = faults(site)
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    print(*wrong, f"site: {len(built)} pages, {size / 1e6:.1f} MB, in {site.relative_to(ROOT)}", sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
