"""The specification and the suite belong together."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from spec_tests.harness.requirements import named_by, requirements

SUITE = Path(__file__).parents[1]


def marked():
    """The requirements that each test of the suite names."""
    found = {}
    for path in sorted(SUITE.glob("test_*.py")):
        module = import_module(f"spec_tests.{path.stem}")
        for name, test in vars(module).items():
            if name.startswith("test_"):
                found[f"{path.stem}.{name}"] = named_by(test)
    return found


def test_every_requirement_has_a_test():
    assert requirements().keys() - {name for names in marked().values() for name in names} == set()


def test_every_test_names_requirements_that_exist():
    for test, names in marked().items():
        assert names, test
        assert set(names) <= requirements().keys(), test


@pytest.mark.parametrize("name", requirements())
def test_every_requirement_is_one_that_can_be_broken_and_repaired(name):
    rule = requirements()[name]
    assert rule.group
    assert "MUST" in rule.text
    assert rule.hint, "the specification says nothing of ports"


def test_ids_of_a_group_count_from_one():
    groups = {}
    for name in requirements():
        group, _, number = name.rpartition("-")
        groups.setdefault(group, []).append(int(number))
    for group, numbers in groups.items():
        assert numbers == list(range(1, len(numbers) + 1)), group
