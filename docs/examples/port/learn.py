"""Train the model in learner.py on generated clips.

python -m docs.examples.port.learn [STEPS]
"""

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
size = Preprocessing(num_frames=4, sampling_rate=6, crop=24)
clips = TrainingClips(size, seed=0, easy=10**6)
config = replace(
    CONFIG,
    num_frames=4,
    num_hidden_layers=1,
    hidden_size=48,
    intermediate_size=192,
)


def batch(first, count):
    """Clips of the endless series, and which of the moves each is."""
    made = clips.__getitems__(range(first, first + count))
    videos, labels = zip(*made, strict=True)
    return np.stack([v.numpy() for v in videos]), np.array(labels)


@jax.jit
def adam(weights, slopes, mean, square, step):
    """Weights one step further down, and the means that Adam keeps."""

    def running(part):
        return lambda kept, new: part * kept + (1 - part) * new

    def move(weight, m, s):
        m, s = m / (1 - 0.9**step), s / (1 - 0.99**step)
        return weight - RATE * m / (np.sqrt(s) + 1e-8)

    squares = jax.tree.map(np.square, slopes)
    mean = jax.tree.map(running(0.9), mean, slopes)
    square = jax.tree.map(running(0.99), square, squares)
    return jax.tree.map(move, weights, mean, square), mean, square


start = untrained(config).named_parameters()
weights = {name: np.array(weight.detach()) for name, weight in start}
mean = square = jax.tree.map(np.zeros_like, weights)
slope = jax.jit(partial(gradients, config=config))
losses = []
for step in range(1, 1 + int(sys.argv[1] if sys.argv[1:] else STEPS)):
    loss, slopes = slope(*batch(BATCH * (step - 1), BATCH), weights)
    weights, mean, square = adam(weights, slopes, mean, square, step)
    losses.append(float(loss))
    if step == 1 or step % SHOWN == 0:
        shown = losses[-SHOWN:]
        print(f"step {step:3}: loss {sum(shown) / len(shown):.2f}")

video, labels = batch(BATCH * STEPS, 500)
logits = jax.jit(partial(forward, config=config))(video, weights)
right = 100 * (logits.argmax(axis=1) == labels).mean()
print(f"right in {right:.0f} % of 500 clips not seen; a guess: 11 %")
