"""The published checkpoints by name, and their input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spec_tests.project.tiny import checkpoint
from timesformer_ref.checkpoints.choosing import choose_preprocessing
from timesformer_ref.checkpoints.variants import VARIANTS, find_variant, matching_variant
from timesformer_ref.input.preprocessing import Preprocessing

ZOO = """
TimeSformer    K400      400  8  32 224 77.9 93.2 TimeSformer_divST_8x32_224_K400.pyth
TimeSformer-HR K400      400  16 16 448 79.6 94.0 TimeSformer_divST_16x16_448_K400.pyth
TimeSformer-L  K400      400  96 4  224 80.6 94.7 TimeSformer_divST_96x4_224_K400.pyth
TimeSformer    K600      600  8  32 224 79.1 94.4 TimeSformer_divST_8x32_224_K600.pyth
TimeSformer-HR K600      600  16 16 448 81.8 95.8 TimeSformer_divST_16x16_448_K600.pyth
TimeSformer-L  K600      600  96 4  224 82.2 95.6 TimeSformer_divST_96x4_224_K600.pyth
TimeSformer    SSv2      174  8  -  224 59.1 85.6 TimeSformer_divST_8_224_SSv2.pyth
TimeSformer-HR SSv2      174  16 -  448 61.8 86.9 TimeSformer_divST_16_448_SSv2.pyth
TimeSformer-L  SSv2      174  64 -  224 62.0 87.5 TimeSformer_divST_64_224_SSv2.pyth
TimeSformer    HowTo100M 1059 8  32 224 56.8 -    TimeSformer_divST_8x32_224_HowTo100M.pyth
TimeSformer    HowTo100M 1059 32 32 224 61.2 -    TimeSformer_divST_32x32_224_HowTo100M.pyth
TimeSformer    HowTo100M 1059 64 32 448 62.2 -    TimeSformer_divST_64x32_224_HowTo100M.pyth
TimeSformer    HowTo100M 1059 96 32 224 62.6 -    TimeSformer_divST_96x32_224_HowTo100M.pyth
"""
"""The table of the original repository: rate `-` for segments, top-5 `-` where none is given."""


def test_the_table_is_the_original_repository_s():
    fields = ("model", "dataset", "classes", "frames", "rate", "crop", "top1", "top5", "file")
    rows = [
        ["-" if (value := getattr(v, name)) is None else str(value) for name in fields]
        for v in VARIANTS
    ]
    assert rows == [line.split() for line in ZOO.strip().splitlines()]


def test_six_are_on_the_hub():
    assert sorted(v.hub for v in VARIANTS if v.hub) == [
        f"facebook/timesformer-{kind}-finetuned-{data}"
        for kind in ("base", "hr")
        for data in ("k400", "k600", "ssv2")
    ]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_a_variant_is_found_by_each_of_its_names_and_by_its_geometry(variant):
    for name in (variant.file, variant.name, variant.name.lower(), variant.hub or variant.name):
        assert find_variant(name) == variant
    assert matching_variant(variant.config) == variant
    assert matching_variant(replace(variant.config, drop_path_rate=0.0)) == variant
    assert matching_variant(replace(variant.config, num_labels=7)) is None
    assert matching_variant(replace(variant.config, attention_type="joint_space_time")) is None


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("k400 hr", "TimeSformer_divST_16x16_448_K400.pyth"),
        ("HR-K400", "TimeSformer_divST_16x16_448_K400.pyth"),
        ("8x32 k600", "TimeSformer_divST_8x32_224_K600.pyth"),
        ("ssv2/64", "TimeSformer_divST_64_224_SSv2.pyth"),
        ("howto100m 64x32", "TimeSformer_divST_64x32_224_HowTo100M.pyth"),
    ],
)
def test_a_few_words_are_enough(name, file):
    assert find_variant(name).file == file


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("k400", [v.name for v in VARIANTS if v.dataset == "K400"]),
        ("hr", [v.name for v in VARIANTS if v.model.endswith("HR")]),
        ("ssv2 224", [v.name for v in VARIANTS if v.dataset == "SSv2" and v.crop == 224]),
        ("", [v.name for v in VARIANTS]),
        ("imagenet", [v.name for v in VARIANTS]),
        ("k40", [v.name for v in VARIANTS]),
    ],
)
def test_an_unclear_name_is_answered_with_the_choices(name, choices):
    with pytest.raises(ValueError, match="choose from") as caught:
        find_variant(name)
    assert str(caught.value).partition("choose from ")[2].split(", ") == choices


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_the_input_is_what_the_weights_expect(variant):
    expected = variant.preprocessing
    assert (expected.num_frames, expected.sampling_rate) == (variant.frames, variant.rate)
    assert (expected.mean, expected.std) == ((0.45,) * 3, (0.225,) * 3)
    assert expected.channel_order == ("bgr" if variant.dataset == "SSv2" else "rgb")
    assert (expected.num_crops, expected.antialias) == (3, False)
    assert expected.scale(3) == expected.crop == variant.crop
    if variant.dataset == "K400" and variant.crop == 224:
        assert expected.scale(1) == 256


@pytest.mark.usefixtures("unchecked")
def test_numbers_of_numpy_make_an_input():
    quarter = np.float32(0.25)
    found = Preprocessing(
        num_frames=np.int64(4), sampling_rate=np.int32(2), mean=(quarter,), std=(quarter,)
    )
    assert found == Preprocessing(num_frames=4, sampling_rate=2, mean=(0.25,), std=(0.25,))
    assert {type(n) for n in (found.num_frames, found.sampling_rate)} == {int}
    assert {type(n) for n in found.mean + found.std} == {float}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"num_frames": 0}, ["num_frames 0"]),
        ({"sampling_rate": 0}, ["sampling_rate 0"]),
        ({"crop": -1}, ["crop -1"]),
        ({"single_crop_scale": 100}, ["100", "224"]),
        ({"std": (1, 0, 1)}, ["std", "above 0"]),
        ({"mean": (1, 2)}, ["mean has 2", "std 3"]),
        ({"channel_order": "gbr"}, ["'gbr'", "rgb or bgr"]),
        ({"num_crops": 2}, ["num_crops 2", "3, or 1"]),
        ({"antialias": 1}, ["antialias 1", "True or False"]),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_an_impossible_input_is_refused(wrong, words):
    with pytest.raises(ValueError, match=words[0]) as caught:
        Preprocessing(**wrong)
    assert all(word in str(caught.value) for word in words)


def test_another_crop_leaves_the_checkpoints_own_scale_behind():
    told = {"sampling_rate": 2, "crop": 32, "single_crop_scale": 40, "mean": (0.5,) * 3}
    chosen = choose_preprocessing(
        checkpoint(preprocessing=told | {"std": (0.5,) * 3}), asked={"crop": 48}
    )
    assert (chosen.crop, chosen.single_crop_scale) == (48, None)
