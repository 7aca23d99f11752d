"""Generated clips show the camera move that their label names, and are the same for a seed."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

pytest.importorskip("PIL")
pytest.importorskip("accelerate")

from docs.camera_motion.clips import (
    FRESH,
    TrainingClips,
    frame_seconds,
    fresh_clips,
    make_clips,
)
from docs.camera_motion.model import PREPROCESSING
from docs.camera_motion.moves import LABELS, MOVES, camera_path
from docs.camera_motion.render import render
from docs.camera_motion.scenes import Scene, draw_scene
from docs.camera_motion.textures import texture
from spec_tests.project.photographs import MOVING, STREAM
from timesformer_ref.training.chance import generator

SIDE = 64
SECONDS = np.array([-0.1, 0.1])
CONTENT = {
    "static": (0, 0, 0, 0),
    "pan left": (1, 0, 0, 0),
    "pan right": (-1, 0, 0, 0),
    "tilt up": (0, 1, 0, 0),
    "tilt down": (0, -1, 0, 0),
    "zoom in": (0, 0, 1, 0),
    "zoom out": (0, 0, -1, 0),
    "roll clockwise": (0, 0, 0, -1),
    "roll counter-clockwise": (0, 0, 0, 1),
}
"""What the picture does on the screen at each: right, down, growing, clockwise."""


def scene(move, speed=1.0, seconds=SECONDS):
    picture = texture(np.random.default_rng(3), ease=0.5)
    return Scene(
        label=LABELS.index(move),
        path=camera_path(move, speed, seconds),
        picture=picture,
        size=(2.0, 2.0),
        objects=np.zeros((0, len(seconds), 5)),
        brightness=np.ones(len(seconds)),
    )


def shift(before, after):
    """How far a picture has moved, right and down, in pixels: where the phases correlate best."""
    window = np.outer(*(np.hanning(n) for n in before.shape))
    spectra = [np.fft.fft2((image - image.mean()) * window) for image in (before, after)]
    product = spectra[1] * spectra[0].conj()
    peak = np.fft.ifft2(product / (np.abs(product) + 1e-9)).real
    down, right = np.unravel_index(peak.argmax(), peak.shape)
    height, width = before.shape
    return (right + width // 2) % width - width // 2, (down + height // 2) % height - height // 2


def log_polar(image):
    """Columns of the logarithm of the distance from the middle, rows of the angle, clockwise."""
    radius = np.geomspace(6, SIDE / 2, 64)
    angle = np.linspace(0, 2 * np.pi, 128, endpoint=False)[:, None]
    middle = (SIDE - 1) / 2
    places = [middle + radius * np.sin(angle), middle + radius * np.cos(angle)]
    return map_coordinates(image, places, order=1)


def movement(clip):
    """What phase correlation sees between two frames: right, down, growing, clockwise."""
    before, after = clip.mean(dim=1).numpy()
    across, down = shift(before, after)
    growth, turn = shift(log_polar(before), log_polar(after))
    return np.array([across, down, growth, turn])


def test_labels_are_the_nine_moves():
    assert tuple(CONTENT) == LABELS


@pytest.mark.parametrize("move", MOVES)
def test_content_moves_against_the_camera(move):
    found = movement(render([scene(move)], SIDE)[0])
    kind = slice(0, 2) if move.startswith(("pan", "tilt")) else slice(2, 4)
    expected = np.array(CONTENT[move])[kind]
    assert np.array_equal(np.sign(found[kind]), expected), found
    # a fifth of the frame; of the logarithm of 32 / 6 in 64 columns; of a turn in 128 rows
    amount = {
        "pan": 12.8,
        "tilt": 12.8,
        "zoom": 0.2 / np.log(32 / 6) * 63,
        "roll": 0.2 / 2 / np.pi * 128,
    }
    assert abs(found[kind]).max() == pytest.approx(amount.get(move.split()[0], 0), abs=1)


def test_drawn_scenes_show_the_move_of_their_label():
    """Wherever the camera begins, and at whatever angle."""
    agreement = {move: [] for move in MOVES}
    for number in range(150):
        drawn = draw_scene(2, number, SECONDS, ease=1.0)
        move = LABELS[drawn.label]
        expected = np.array(CONTENT[move])
        kind = slice(2, 4) if move.startswith(("zoom", "roll")) else slice(0, 2)
        found = movement(render([drawn], SIDE)[0])
        # coarse pictures leave the correlation unsure by a pixel, or without an answer
        along, across = found[kind] @ expected[kind], found[kind] @ expected[kind][::-1]
        agreement[move].append(np.sign(along) if abs(along) > abs(across) else 0)
    for move in MOVING:
        assert np.mean(agreement[move]) > 0.3, move
        assert np.mean(np.array(agreement[move]) < 0) <= 0.1, move


@pytest.mark.parametrize("move", ["pan left", "tilt down", "zoom in", "roll clockwise"])
def test_speed_is_a_share_of_the_frame_in_a_second(move):
    path = camera_path(move, 1 / 3, np.array([0.0, 3.0]))
    assert np.abs(path[1] - path[0]).max() == pytest.approx(1)


def test_an_unsteady_camera_never_turns_back_and_keeps_its_mean_speed():
    seconds = np.linspace(0, 2, 50)
    path = camera_path("pan right", 0.5, seconds, unsteady=0.9, phase=1.0)[:, 0]
    assert (np.diff(path) > 0).all()
    assert path[-1] - path[0] == pytest.approx(1)


def test_a_clip_rests_on_seed_and_number_alone():
    clips = TrainingClips(PREPROCESSING, seed=5)
    video, label = clips.__getitems__([3, 9])[1]
    alone, same_label = TrainingClips(PREPROCESSING, seed=5)[9]
    assert label == same_label
    assert torch.allclose(video, alone, atol=1e-5)
    assert not torch.allclose(TrainingClips(PREPROCESSING, seed=6)[9][0], alone, atol=0.1)


def test_no_training_meets_a_fresh_clip():
    """As it once did: NumPy cuts the seed 2**32 into the words 0 and 1."""
    seconds = frame_seconds(PREPROCESSING)
    fresh = {scene.path.tobytes() for scene in fresh_clips(PREPROCESSING, 100).scenes}
    for seed in (0, 1, 2**32 - 1):
        assert not {draw_scene(seed, k, seconds).path.tobytes() for k in range(100)} & fresh
    with pytest.raises(ValueError, match=r"seed \(4294967296, 0\) is impossible"):
        TrainingClips(PREPROCESSING, 2**32)[0]


def test_no_two_streams_of_chance_have_a_draw_in_common():
    numbers, words = (0, 1, 2, 2**32 - 1), set()
    for stream in ((), FRESH, STREAM):
        words |= {generator(*pair, stream=stream).bytes(16) for pair in product(numbers, repeat=2)}
    assert len(words) == 3 * len(numbers) ** 2


def test_training_draws_from_its_seed_and_the_number_of_the_clip():
    """The stream that the model in the package was trained on."""
    assert generator(5, 9).bytes(16) == np.random.default_rng([5, 9]).bytes(16)


def test_every_label_is_drawn_as_often():
    seconds = frame_seconds(PREPROCESSING)[:1]
    labels = [draw_scene(0, number, seconds, ease=1.0).label for number in range(180)]
    assert set(labels) == set(range(9))
    assert np.bincount(labels).min() > 8


def test_scenes_grow_harder_over_the_first_part_of_a_run():
    def roughness(k):
        pictures = [draw_scene(0, k + i, SECONDS, clips._ease(k)).picture for i in range(20)]
        return np.mean([np.abs(np.diff(p, axis=2)).mean() for p in pictures])

    clips = TrainingClips(PREPROCESSING, seed=0, easy=1000)
    assert [clips._ease(k) for k in (0, 500, 1000, 9000)] == [1.0, 0.5, 0.0, 0.0]
    assert roughness(0) < 0.7 * roughness(1000)


def test_clips_are_normalised_as_the_model_expects():
    plain = scene("static")
    [(clip, label)] = make_clips([plain], PREPROCESSING)
    expected = (render([plain], PREPROCESSING.crop)[0] - 0.45) / 0.225
    assert torch.allclose(clip, expected)
    assert LABELS[label] == "static"


def test_a_disc_moves_on_its_own_before_the_camera():
    still = scene("static")
    disc = np.zeros((1, 2, 5))
    disc[0, :, 0], disc[0, :, 2], disc[0, :, 3] = [-0.3, 0.3], 0.1, 0.7
    before, after = (
        render([Scene(**{**vars(still), "objects": objects})], SIDE)[0]
        for objects in (still.objects, disc)
    )
    changed = (before - after).abs().sum(dim=1) > 0.02
    columns = changed.any(dim=1).nonzero()
    for frame, middle in ((0, 0.2), (1, 0.8)):
        found = columns[columns[:, 0] == frame, 1].float() / SIDE
        assert found.min() > middle - 0.12
        assert found.max() < middle + 0.12
