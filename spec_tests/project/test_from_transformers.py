"""The tables of the page for users of transformers, against the installed library."""

from __future__ import annotations

import ast
import inspect
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from spec_tests.project.test_docs import ROOT
from timesformer_ref.config import TimeSformerConfig

PAGE = ROOT / "docs" / "from-transformers.md"

pytestmark = [
    pytest.mark.slow,  # to import the library's models takes a second
    pytest.mark.skipif(not PAGE.is_file(), reason="needs the checkout"),
]
transformers = pytest.importorskip("transformers")


def rows(section):
    """The cells of the rows of a section's tables that begin with a name in code."""
    text = PAGE.read_text("utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = re.findall(r"^\| `(\w+)` \|(.*)\|$", text, re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in lines}


def as_json(value):
    return json.loads(json.dumps(value))


def test_every_field_of_the_config_has_its_default_there_and_here():
    there = transformers.TimesformerConfig()
    own = set(inspect.get_annotations(type(there))) - {"model_type"}
    table = rows("TimesformerConfig")
    assert own <= table.keys()
    here = {field.name: field.default for field in fields(TimeSformerConfig)}
    assert here.keys() <= table.keys()
    stated = there.to_dict() | {"num_labels": there.num_labels, "return_dict": there.return_dict}
    for name, (default, ours, _) in table.items():
        assert json.loads(default.strip("`")) == as_json(stated[name]), name
        if ours:
            assert json.loads(ours.strip("`")) == here[name], name
        else:
            assert name not in here


@pytest.mark.parametrize("name", ["TimesformerModel", "TimesformerForVideoClassification"])
def test_every_argument_of_a_call_is_in_the_table(name):
    found = inspect.signature(getattr(transformers, name).forward).parameters.values()
    table = rows("TimesformerForVideoClassification")
    for parameter in found:
        if parameter.name not in ("self", "kwargs"):
            default, _ = table[parameter.name]
            assert parameter.default in (None, inspect.Parameter.empty)
            assert default == "`None`"


def test_every_output_is_in_the_table():
    outputs = inspect.signature(transformers.modeling_outputs.ImageClassifierOutput).parameters
    assert outputs.keys() <= rows("TimesformerForVideoClassification").keys()
    outputs = inspect.signature(transformers.modeling_outputs.BaseModelOutput).parameters
    section = PAGE.read_text("utf-8").split("\n## TimesformerModel\n")[1].split("\n## ")[0]
    assert [name for name in outputs if f"`{name}`" not in section] == []


def test_every_argument_of_the_processor_has_its_default():
    path = "transformers.models.videomae.image_processing_pil_videomae"
    processor = pytest.importorskip(path).VideoMAEImageProcessorPil().to_dict()
    table = rows("The image processor")
    stated = {name: default for name, (default, _, _) in table.items() if default != "none"}
    assert processor.keys() - {"image_processor_type"} == stated.keys()
    for name, default in stated.items():
        assert json.loads(default.strip("`")) == as_json(processor[name]), name


def test_every_argument_of_the_video_processor_has_its_default():
    """Read from its source: to import the class takes torchvision."""
    folder = Path(transformers.__file__).parent / "models" / "timesformer"
    source = folder / "video_processing_timesformer.py"
    if not source.is_file():
        pytest.skip(f"transformers {transformers.__version__} has no such processor")
    [processor] = [n for n in ast.parse(source.read_text("utf-8")).body if type(n) is ast.ClassDef]
    set_there = {
        n.targets[0].id: eval(ast.unparse(n.value), vars(transformers.image_utils))
        for n in processor.body
        if isinstance(n, ast.Assign)
    }
    table = rows("The image processor")
    assert set_there.keys() - {"default_to_square", "model_input_names"} == table.keys()
    for name, (same, default, _) in table.items():
        assert json.loads((default or same).strip("`")) == as_json(set_there[name]), name
