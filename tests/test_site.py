"""The site: its pages come from what the repository has, its links lead somewhere, and it asks for nothing outside.

`.ci/site/build.py` builds it, in `.ci/run`; here are its parts, and what its own pages say.
"""

import doctest
import importlib
import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

import classykit as ck
from classykit.teaching import __main__ as teaching

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / ".ci" / "site"
MODULES = ("links", "lessons", "reference", "built", "build")


@pytest.fixture(scope="module")
def site():
    """The modules that make the site; they lie in no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SITE)
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in MODULES})
    for name in MODULES:
        sys.modules.pop(name)


@pytest.fixture(scope="module")
def pages(site):
    """({page: text}, navigation) as they are built."""
    made, nav = site.build.pages()
    return {path: text for path, text in made.items() if isinstance(text, str)}, nav


class TestPages:
    def test_every_public_name_is_in_the_reference_once(self, site, pages):
        texts = [text for path, text in pages[0].items() if path.startswith("reference/")]
        entries = re.findall(r"^::: (\S+)$", "\n".join(texts), re.MULTILINE)
        assert len(entries) == len(set(entries))
        public = {site.reference.path_of(getattr(ck, name)) for name in ck.__all__[1:]}
        assert not public - set(entries)

    def test_so_is_what_verbs_return(self, pages):
        assert "::: classykit.learning.probe.Probe\n" in pages[0]["reference/learning.md"]
        assert "::: classykit.inspecting.report.Inspection\n" in pages[0]["reference/inspecting.md"]

    def test_families_have_their_keys(self, pages):
        config = ck.models.RegNet.Config
        lines = [line for line in pages[0]["reference/models.md"].splitlines() if line.startswith("| `w_0` |")]
        assert len(lines) == 1 and config.model_fields["w_0"].description in lines[0]

    def test_every_lesson_is_in_the_navigation(self, pages):
        lessons = [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))]
        listed = next(part["Lessons"] for part in pages[1] if "Lessons" in part)
        shown = [page for entry in listed[1:] for page in entry.values()]
        assert lessons and shown == [f"lessons/{name}.md" for name in lessons]
        assert all(f"]({name}.md)" in pages[0]["lessons/index.md"] for name in lessons)

    def test_every_page_is_in_the_navigation(self, pages):
        listed = set(re.findall(r"[\w/]+\.md", json.dumps(pages[1])))
        assert set(pages[0]) | {"teachers.md", "explorer/index.md"} == listed

    def test_no_answers_are_published(self, pages):
        teachers = (ROOT / "notebooks" / "teacher" / "02_anatomy.ipynb").read_text(encoding="utf-8")
        assert "# answer" in teachers and "# exercise 2.1" in teachers
        lessons = "".join(text for path, text in pages[0].items() if path.startswith("lessons/"))
        assert "# answer" not in lessons and "# exercise" not in lessons


class TestALesson:
    @pytest.fixture
    def lesson(self, site, tmp_path):
        of = nbformat.v4
        figure = {"image/png": "AAAA", "text/plain": "<Figure>"}
        told = {"text/html": "<b>1 M</b>", "text/plain": "1 M"}
        cells = [
            of.new_markdown_cell("# Depth\n\n**The question.** How deep?\n\nMore."),
            of.new_code_cell("# NBVAL_IGNORE_OUTPUT\nx.plot()", outputs=[of.new_output("display_data", figure)]),
            of.new_code_cell("x", outputs=[of.new_output("execute_result", told)]),
            of.new_code_cell("print(x)", outputs=[of.new_output("stream", text="a < b\n")]),
            of.new_markdown_cell("[back](01_a.ipynb)"),
        ]
        nbformat.write(of.new_notebook(cells=cells), tmp_path / "02_depth.ipynb")
        return site.lessons.found(tmp_path)[0]

    def test_it_is_known_by_its_title_and_question(self, lesson):
        assert (lesson.title, lesson.question, lesson.page) == ("Depth", "How deep?", "lessons/02_depth.md")

    def test_its_outputs_are_those_that_were_saved(self, lesson):
        page = lesson.markdown("[Open]")
        assert page.startswith("# Depth\n\n[Open]\n\n**The question.**")
        assert "```python\nx.plot()\n```\n\n![Figure: x.plot()](02_depth/1.png)" in page
        assert '<div class="output">\n<b>1 M</b>\n</div>' in page and "<pre>a &lt; b</pre>" in page
        assert lesson.figures == {"lessons/02_depth/1.png": b"\x00\x00\x00"}

    def test_a_button_opens_it_where_the_repository_has_an_address(self, site, lesson):
        assert site.lessons.button(lesson, None) == ""
        there = site.lessons.button(lesson, "https://github.com/some-one/kit")
        assert "(https://colab.research.google.com/github/some-one/kit/blob/main/notebooks/02_depth.ipynb)" in there
        assert there in site.lessons.index([lesson], "https://github.com/some-one/kit")


class TestLinks:
    def test_what_is_in_the_repository_is_a_page(self, site):
        pages = {"README.md": "index.md", "notebooks/02_b.ipynb": "lessons/02_b.md"}
        text = "[a](../README.md#start) [b](02_b.ipynb) [c](https://x.org) [d](#here) `[e](f)`"
        made = site.links.relinked(text, "notebooks/01_a.ipynb", "lessons/01_a.md", pages)
        assert made == "[a](../index.md#start) [b](02_b.md) [c](https://x.org) [d](#here) `[e](f)`"

    def test_what_has_no_page_is_named(self, site):
        with pytest.raises(LookupError, match=r"README\.md links to gone\.md"):
            site.links.relinked("[a](gone.md)", "README.md", "index.md", {})


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ('<a href="b.html#x">1</a><a href="https://x.org">2</a><img src="data:,"><a href="#top" id="top">3</a>', ""),
        ('<img src="https://x.org/a.png">', "loads https://x.org/a.png from outside"),
        ('<link rel="stylesheet" href="//x.org/a.css">', "loads //x.org/a.css from outside"),
        ("<style>@import 'https://x.org/a.css'</style>", "has a style that loads from outside"),
        ('<iframe src="gone.html"></iframe>', "names gone.html, which is not there"),
        ('<a href="b.html#y">1</a>', "names b.html#y: that page has no such place"),
    ],
)
def test_built_pages_are_looked_through(site, tmp_path, page, said):
    (tmp_path / "a.html").write_text(page)
    (tmp_path / "b.html").write_text('<h1 id="x">b</h1>')
    assert site.built.faults(tmp_path) == ([f"a.html {said}"] if said else [])


def test_formulas_need_no_script(site):
    pytest.importorskip("latex2mathml")
    made = site.build.with_formulas('<p><span class="arithmatex">\\(k &lt; 2\\)</span></p>')
    assert made.startswith("<p><math") and "\\(" not in made and made.endswith("</math></p>")
    made = site.build.with_formulas('<div class="arithmatex">\\[\nr + 1\n\\]</div>')
    assert made.startswith('<div class="formula"><math') and 'display="block"' in made and "arithmatex" not in made


@pytest.mark.parametrize("module", ["links", "examples"])
def test_its_own_examples(module, monkeypatch):
    if module == "examples":
        pytest.importorskip("griffe")
    monkeypatch.syspath_prepend(SITE)
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted and not result.failed


class TestWhatItsPagesSay:
    TEXTS = {path.name: path.read_text(encoding="utf-8") for path in SITE.rglob("*.md")}
    TEACHERS = (SITE / "pages" / "teachers.md").read_text(encoding="utf-8")

    def test_the_verbs_are_there(self):
        named = {name for text in self.TEXTS.values() for name in re.findall(r"\bck((?:\.\w+)+)", text)}
        assert {".check", ".progress", ".ablate"} <= named
        for dotted in named:
            value = ck
            for name in dotted[1:].split("."):
                assert hasattr(value, name), f"ck{dotted}"
                value = getattr(value, name)

    def test_the_lab_takes_two_hours(self):
        lab, *lessons = re.findall(r"^\| minutes .*\n.*\n((?:\| \d+ .*\n)+)", self.TEACHERS, re.MULTILINE)
        minutes = [sum(map(int, re.findall(r"^\| (\d+) ", table, re.MULTILINE))) for table in (lab, *lessons)]
        assert minutes == [120, 25, 40, 35]
        assert re.findall(r"^\| (\d+) \| \[(\d)", lab, re.MULTILINE) == [("25", "2"), ("40", "4"), ("35", "6")]

    def test_the_figures_of_the_anatomy_lesson(self):
        resnet, densenet = (ck.inspect(name).without_classifier() for name in ("resnet50", "densenet121"))
        assert "DenseNet-121 has 70 % fewer parameters than ResNet-50" in self.TEACHERS
        assert round(100 * (1 - densenet.params / resnet.params)) == 70
        assert densenet.activation_bytes > resnet.activation_bytes
        fields = [ck.inspect("resnet50")[block].receptive_field for block in ("block0-0", "block0-2", "block1-0")]
        assert "11, 19, 27, 35, 43" in self.TEACHERS and [int(str(one).split("×")[0]) for one in fields] == [19, 35, 43]

    def test_its_exercises_can_be_made_solved_and_tested(self, tmp_path, monkeypatch):
        cells = re.findall(r"^```python[^\n]*\n(.*?)^```", self.TEACHERS, re.DOTALL | re.MULTILINE)
        exercises = [cell for cell in cells if "# exercise" in cell]
        tests = [cell for cell in cells if "# exercise" not in cell]
        assert len(exercises) == 3 and len(tests) == 1

        command = re.search(r"^python -m classykit\.teaching (mine/.*)$", self.TEACHERS, re.MULTILINE)[1]
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("CLASSYKIT_PROGRESS", "off")
        Path("mine").mkdir()
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in exercises])
        nbformat.write(notebook, "mine/ours.ipynb")
        assert teaching.main(command.replace("*", "ours").split()) == 0

        def sources(folder):
            return [cell.source for cell in nbformat.read(f"{folder}/ours.ipynb", as_version=4).cells]

        monkeypatch.chdir("handout")
        names = {"ck": ck}
        with pytest.raises(AssertionError, match="Not answered yet"):
            exec("\n".join([*sources("."), *tests]), names)
        monkeypatch.chdir("../solved")
        said, check = [], ck.check
        monkeypatch.setattr(ck, "check", lambda *asked: said.append(check(*asked)) or said[-1])
        exec("\n".join([*sources("."), *tests]), names)
        assert [(one.exercise, one.right) for one in said] == [
            ("1.1", None), ("1.1", True), ("1.2", True), ("1.3", True), ("1.2", True),
        ]  # fmt: skip
