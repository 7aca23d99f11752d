"""Train the model in learner.py on generated clips: python -m docs.examples.port.learn [STEPS]"""

import sys
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as np
from learner import forward, gradients

from docs.camera_motion.clips import TrainingClips
from docs.camera_motion.model import CONFIG, untrained
from timesformer_ref.input.preprocessing import Preprocessing

STEPS, BATCH, SHOWN, RATE = 600, 32, 50, 0.003
config = replace(CONFIG, num_frames=4, hidden_size=48, intermediate_size=192, num_hidden_layers=1)
clips = TrainingClips(Preprocessing(num_frames=4, sampling_rate=6, crop=24), seed=0, easy=10**6)


def batch(first, count):
    """Clips of the endless series, and which of the nine movements each is."""
    videos, labels = zip(*clips.__getitems__(range(first, first + count)), strict=True)
    return np.stack([video.numpy() for video in videos]), np.array(labels)


@jax.jit
def adam(weights, slopes, mean, square, step):
    """The next weights: a step down, along the mean slope, of about the same length for each."""
    mean = jax.tree.map(lambda m, slope: 0.9 * m + 0.1 * slope, mean, slopes)
    square = jax.tree.map(lambda s, slope: 0.99 * s + 0.01 * slope**2, square, slopes)

    def move(weight, m, s):
        return weight - RATE * m / (1 - 0.9**step) / (np.sqrt(s / (1 - 0.99**step)) + 1e-8)

    return jax.tree.map(move, weights, mean, square), mean, square


weights = {name: np.array(w.detach()) for name, w in untrained(config).named_parameters()}
mean = square = jax.tree.map(np.zeros_like, weights)
slope = jax.jit(partial(gradients, config=config))
losses = []
for step in range(1, 1 + int(sys.argv[1] if sys.argv[1:] else STEPS)):
    loss, slopes = slope(*batch(BATCH * (step - 1), BATCH), weights)
    weights, mean, square = adam(weights, slopes, mean, square, step)
    losses.append(float(loss))
    if step == 1 or step % SHOWN == 0:
        print(f"step {step:3}: loss {sum(losses[-SHOWN:]) / len(losses[-SHOWN:]):.2f}")

video, labels = batch(BATCH * STEPS, 500)
right = jax.jit(partial(forward, config=config))(video, weights).argmax(axis=1) == labels
print(f"right in {100 * right.mean():.0f} % of 500 clips that it has not seen; a guess: 11 %")
