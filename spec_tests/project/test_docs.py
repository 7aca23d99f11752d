"""What the README and the site say is true."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from spec_tests.make_example import random_checkpoint, write_video
from timesformer_ref.checkpoints import save_checkpoint
from timesformer_ref.config import TimeSformerConfig

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "timesformer_ref" / "default_model" / "README.md",
    *(p for p in sorted((ROOT / "docs").rglob("*.md")) if p.parent.name != "making"),
]

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="needs the checkout")


def blocks(page, language):
    """A page's blocks of a language, but those that include a file: that runs by itself."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [block for block in found if "--8<--" not in block]


SLOW = ("ar.md", "from-transformers.md")
"""Pages that import the models of transformers."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(p, marks=[pytest.mark.slow] * (p.name in SLOW))
        for p in PAGES
        if blocks(p, "python")
    ],
    ids=lambda p: p.name,
)
def test_the_python_blocks_of_a_page_run_one_after_another(page, tmp_path, monkeypatch):
    if page.name in SLOW:
        pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    config = TimeSformerConfig(
        hidden_size=64, num_attention_heads=1, num_hidden_layers=1, intermediate_size=8
    )
    save_checkpoint(random_checkpoint(config), "random.pyth")
    write_video(Path("video.mp4"))
    names = {}
    for block in blocks(page, "python"):
        exec(compile(block, page.name, "exec"), names)
    if page.name == "classify.md":
        assert names["logits"].shape == (400,)


def test_the_readme_and_the_home_page_have_the_same_commands():
    readme, home = (blocks(ROOT / name, "sh") for name in ("README.md", "docs/index.md"))
    assert readme == home
    assert len(readme) == 2


def test_the_conformance_page_is_that_of_the_last_runs():
    page = import_module("docs.making.suite_pages").conformance_page
    data = ROOT / "docs" / "data" / "conformance.json"
    assert (ROOT / "docs" / "conformance.md").read_text("utf-8") == page(data)


def test_the_specification_lists_the_mutants_of_each_requirement_that_catches_some():
    caught = import_module("docs.making.suite_pages").caught(ROOT / "docs/data/mutants.json")
    for entry in (ROOT / "docs/specification.md").read_text("utf-8").split("\n### ")[1:]:
        name = entry.partition("\n")[0]
        assert (f'--8<-- "mutants/{name}.md"' in entry) == (name in caught), name


def test_the_performance_page_is_that_of_its_data():
    pytest.importorskip("matplotlib")
    page = import_module("docs.making.performance_page")
    assert (ROOT / "docs" / "performance.md").read_text("utf-8") == page.performance_page()


@pytest.mark.parametrize("page", sorted({*PAGES, *ROOT.glob("*.md")}), ids=lambda p: p.name)
def test_every_local_link_leads_to_a_file(page):
    generated = re.compile(r"(\.\./|docs/)?assets/")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists() or generated.match(target), target


@pytest.fixture
def twins():
    return import_module("docs.making.twins")


def test_twins_stand_line_by_line_beside_each_other_and_whole(twins):
    for numpy, torch, notes in (pair for pairs in twins.TWINS.values() for pair in pairs):
        left, right = twins.code("numpy_blocks", numpy), twins.code("torch_blocks", torch)
        groups = [rows for _, rows in twins.groups(numpy, torch, notes)]
        assert [a for rows in groups for a, _ in rows if a is not None] == left
        assert [b for rows in groups for _, b in rows if b is not None] == right
        same = {a for rows in groups for a, b in rows if a == b}
        assert set(left) & set(right) - same <= {"    )", ""}, numpy


def test_every_group_of_lines_has_a_note_that_speaks_of_what_is_there(twins):
    for numpy, torch, notes in (pair for pairs in twins.TWINS.values() for pair in pairs):
        lines = "\n".join(twins.code("numpy_blocks", numpy) + twins.code("torch_blocks", torch))
        assert next(iter(notes)) == "def"
        for note, rows in twins.groups(numpy, torch, notes):
            assert len(rows) <= 13, f"so long a group needs a second note: {note}"
            assert re.fullmatch(r"[^.]+\.( [^.]+\.)?", note), f"not one sentence or two: {note}"
            assert [name for name in re.findall(r"`(.+?)`", note) if name not in lines] == []


def test_a_note_whose_line_is_gone_is_an_error(twins):
    rows = [("def f(x):", "def f(x):"), ("    y = x", None), ("    y = x", "    return x")]
    assert twins.place("return x", rows) == 2
    for line, times in {"y = x": 2, "z = x": 0}.items():
        with pytest.raises(ValueError, match=f"'{line}', which is there {times} times"):
            twins.place(line, rows)
