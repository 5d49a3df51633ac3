"""One table of figures, as text and as HTML; the texts of inspections and comparisons are what they always were."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import classykit as ck
from classykit.tables import Bar, Cell, Column, Line, Table, fold, folded_in, framed, said


def with_heads():
    net = ck.build_model("resnet50", device="meta")
    net.attach_head("block3-2", "fully_connected", unique_id="classes", num_classes=1000)
    net.attach_head("block1-3", "linear_probe", unique_id="a probe with a long name", num_classes=10)
    return net


INSPECTIONS = {
    "resnet50": lambda: ck.inspect("resnet50"),
    "densenet121": lambda: ck.inspect("densenet121"),
    "r3d_18": lambda: ck.inspect("r3d_18"),
    "mlp": lambda: ck.inspect({"name": "mlp", "input_dim": 12, "output_dim": 5, "hidden_dims": [16, 8]}),
    "heads": lambda: ck.inspect(with_heads()),
    "foreign": lambda: ck.inspect(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)), (3, 32, 32)),
}
COMPARISONS = {
    "four, budget": lambda: ck.compare(
        ["resnet50", "efficientnet_b0", "regnet_y_3.2gf", "densenet121"], budget={"params": 20e6, "macs": 3e9}
    ),
    "memory": lambda: ck.compare(["resnet18", "densenet121"], budget={"memory": 60e6}),
    "other inputs": lambda: ck.compare(["resnet18", "r3d_18", "efficientnet_b1"]),
    "baseline, sorted": lambda: ck.compare(["resnet18", "resnet34", "resnet50"], baseline="resnet34", sort="-macs"),
    "many": lambda: ck.compare(ck.list_models("regnet_y_*") + ck.list_models("regnet_x_*"), baseline="regnet_x_400mf"),
    "failed": lambda: ck.compare(["resnet18", {"name": "anynet"}, "resnet34", "mlp", "resnext", "densenet"]),
    "named": lambda: ck.compare(
        ["resnet18", "resnet34"], names=["a name that is rather long, as people's names of experiments are", "b"]
    ),
}
WIDTHS = (60, 80, 100, 120, 160, 200)


GOLDEN = Path(__file__).parent / "golden"


def golden(kind):
    """{(case, width): text}, written by the code that had a renderer for each of them."""
    parts = re.split(r"##### (.*) at (\d+)\n", (GOLDEN / f"{kind}.txt").read_text(encoding="utf-8"))[1:]
    return {(n, int(w)): text.removesuffix("\n") for n, w, text in zip(*[iter(parts)] * 3, strict=True)}


@pytest.mark.parametrize("kind, cases", [("inspections", INSPECTIONS), ("comparisons", COMPARISONS)])
def test_the_texts_are_what_they_were_to_the_byte(kind, cases, monkeypatch):
    wanted = golden(kind)
    assert set(wanted) == {(name, width) for name in cases for width in WIDTHS}
    for name, make in cases.items():
        found = make()
        for width in WIDTHS:
            monkeypatch.setenv("COLUMNS", str(width))
            assert str(found) == wanted[name, width], (name, width)


LETTERS = st.text("abc <&>é", max_size=30)
FIGURES = st.integers(0, 10**12).map(str)


@given(st.lists(st.tuples(LETTERS, FIGURES, LETTERS), min_size=1, max_size=5), st.integers(20, 120))
def test_what_is_too_wide_goes_first_and_is_cut_last(rows, width):
    columns = [Column("name"), Column("figure", right=True, dispensable=2), Column("more", dispensable=1)]
    table = Table(columns, [Line([Cell(text) for text in row]) for row in rows])
    lines = table.fitted(width).to_text(width)
    assert all(len(line) <= width for line in lines) and len(lines) == len(rows) + 4
    if table.width <= width:
        assert table.fitted(width) is table
    shown = [column.heading for column in table.fitted(width).columns]
    assert shown in (["name", "figure", "more"], ["name", "figure"], ["name"])


def test_words_take_the_place_of_cells():
    table = Table(
        [Column("mode"), Column("ms", right=True)], [Line([Cell("eager"), Cell("12")]), Line([Cell("x")], "no")]
    )
    assert table.rows() == ["mode   ms", "eager  12", "x      no"]
    assert "no</td>" in table.to_html() and 'colspan="1"' in table.to_html()


def test_equal_things_in_a_row():
    assert fold("aabba", str.__eq__) == [["a", "a"], ["b", "b"], ["a"]] and fold([], int.__eq__) == []


def test_a_bar_has_a_cell_of_its_own_and_no_style_that_a_page_may_drop():
    table = Table(
        [Column("block"), Column("MACs", right=True)], [Line([Cell("stem"), Cell("1.2 G", (Bar(0.5),), "half")])]
    )
    page = table.to_html()
    cells = re.findall(r"<td.*?</td>", page)
    assert len(cells) == 3 and len(re.findall("<th ", page)) == 3
    assert 'title="half"' in cells[1] and cells[1].endswith(">1.2 G</td>") and "background" not in cells[1]
    assert "width:20px" in cells[2] and re.sub("<.*?>", "", cells[2]) == ""
    assert "gradient" not in page and "position" not in page and page.count("white-space:nowrap") == 4


def test_text_is_escaped():
    odd = "<script>alert(1)</script>"
    table = Table([Column(odd)], [Line([Cell(odd, tip=odd)]), Line([], odd)])
    page = framed(table.to_html(), said(odd), folded_in(odd, ""))
    assert "<script" not in page and page.count("&lt;script&gt;") == 6


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 200])
def test_what_was_measured_fits_the_terminal(width, measured, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    widest = [max(map(len, str(found).splitlines())) for found in measured]
    assert len(widest) == 2 and max(widest) <= width


@pytest.fixture(scope="module")
def measured():
    """A benchmark of two models with rows that have no figures, and a profile."""
    small = {"name": "resnext", "num_blocks": [1, 1], "init_planes": 8, "small_input": True}
    one, other = ck.build_model(small), ck.build_model(small)
    return (
        ck.benchmark(
            one, (1, 2), "float32", ("eager", "cuda_graph"), device="cpu", seconds=0.001, progress=False,
            compare={"another model with a long name": other},
        ),
        ck.profile_blocks(one, device="cpu", seconds=0.001, progress=False),
    )  # fmt: skip
