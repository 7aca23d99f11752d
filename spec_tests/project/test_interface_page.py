"""What the page about the interface says, for somebody who writes in another language."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from spec_tests import test_input_pipeline
from spec_tests.harness.errors import NotOffered
from spec_tests.harness.interface import FUNCTIONS
from spec_tests.harness.porting import find_port
from timesformer_ref.config import TimeSformerConfig

ROOT = Path(__file__).parents[2]
SKELETON = ROOT / "docs" / "examples" / "port" / "skeleton.py"
pytestmark = pytest.mark.skipif(not SKELETON.exists(), reason="needs the checkout")


def test_every_field_of_the_config_is_in_the_table():
    from docs.making.interface_tables import config_fields

    rows = config_fields().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [f.name for f in fields(TimeSformerConfig)]
    assert "| `layer_norm_eps` | number | `1e-06` | added to the variance" in rows[8]
    assert not any(row.endswith("|  |") for row in rows)


def test_the_request_is_one_that_the_suite_sends():
    from docs.making.interface_tables import request

    header = json.loads(request())
    assert header["input"] == {"dtype": "F32", "shape": [1, 13, 768], "data_offsets": [0, 39936]}
    given = header["__metadata__"]
    assert set(given) == {"function", *FUNCTIONS["attention_step"]} - {"tokens", "weights"}
    assert TimeSformerConfig(**json.loads(given["config"])) == TimeSformerConfig()


def test_what_rests_on_what_is_told_once():
    from docs.making.interface_tables import resting

    assert "| NORM-7 | HEAD |" in resting()
    assert resting().count("every part of it (PATCH, CLS") == 2


def test_the_skeleton_is_a_program_that_the_suite_can_test():
    port = find_port(f"cmd:{sys.executable} -S -I {SKELETON}")
    assert (port.name, port.schemes) == ("skeleton", ("divided_space_time",))
    test_input_pipeline.test_bounds_that_float32_would_round_otherwise(port, 30, 14)
    with pytest.raises(NotOffered, match="no forward yet"):
        port.call("forward", None, {}, TimeSformerConfig())
    port.close()
    body = SKELETON.read_text().split("\n\n\n", 1)[1]
    assert sum(bool(line.strip()) for line in body.splitlines()) <= 35
