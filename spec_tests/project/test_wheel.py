"""What is published: the same bytes from the same files, and what they allow without a checkout."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
import zipfile

import pytest
import yaml
from safetensors.numpy import load, load_file

from spec_tests.project.installs import EXTRAS, ROOT, TASKS, UV, build
from timesformer_ref.cli import COMMANDS

pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="needs the checkout")
needs_uv = pytest.mark.skipif(not UV.exists(), reason="uv is missing: pip install uv")


def test_the_changelog_and_the_citation_are_of_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["title"] == f"timesformer_ref: {project['description']}"
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])
    newest = re.search(r"^## (\S+?),? ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest[1] == project["version"]


def test_the_table_of_installations_has_every_command():
    found = json.loads((ROOT / "docs/data/installs.json").read_text())
    assert {extra: list(tasks) for extra, tasks in found.items()} == {
        key: [*TASKS] for key in EXTRAS
    }
    shown = {words.split()[0] for words in TASKS.values()}
    assert shown == set(COMMANDS)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Wheel and sdist, built twice: from copies of the checkout with other times of files."""
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    folders = []
    for number in (1, 2):
        room = tmp_path_factory.mktemp("build")
        for name in filter(None, listed.split("\0")):
            target = room / "checkout" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
            os.utime(target, (10**9 * number,) * 2)
        build(room / "checkout", room / "dist")
        folders.append(room / "dist")
    return folders


@needs_uv
@pytest.mark.slow
@pytest.mark.parametrize("ending", ["*.whl", "*.tar.gz"])
def test_the_same_files_give_the_same_bytes(packed, ending):
    hashes = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in packed
        for path in folder.glob(ending)
    }
    assert len(hashes) == 1


@needs_uv
@pytest.mark.slow
def test_the_wheel_holds_what_users_need(packed):
    (path,) = packed[0].glob("*.whl")
    assert path.stat().st_size < 10e6
    wheel = zipfile.ZipFile(path)
    names = set(wheel.namelist())
    assert names > {"timesformer_ref/py.typed", "spec_tests/specification.md"}
    assert not any(name.startswith(("spec_tests/project", "spec_tests/fuzz")) for name in names)
    for file in (ROOT / "spec_tests/golden").glob("*.safetensors"):
        whole, found = load_file(file), load(wheel.read(f"spec_tests/golden/{file.name}"))
        assert all((found[name] == whole[name]).all() for name in found)
        inner = {name for name in whole if re.fullmatch(r"out\.(norm|blocks\..*attn)", name)}
        assert whole.keys() - found.keys() == inner


@needs_uv
@pytest.mark.slow
def test_the_source_holds_all_that_builds_the_wheel(packed):
    (path,) = packed[0].glob("*.tar.gz")
    with tarfile.open(path) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert names > {"hatch_build.py", "CHANGELOG.md", "CITATION.cff", "LICENSE", "mkdocs.yml"}
