"""What a training step keeps in memory, by exact count: nothing is computed, shapes are enough."""

from timesformer_ref import TimeSformerConfig
from timesformer_ref.training.memory import step_memory
from timesformer_ref.training.recipe import RECIPES

print(f"{'clip':>8} {'numbers':>11} {'tokens':>7} {'kept':>9} {'with --recompute':>17}")
for frames, size in ((8, 224), (16, 448), (96, 224)):
    config = TimeSformerConfig(num_frames=frames, image_size=size)
    kept, recomputed = (
        step_memory(config, RECIPES["paper"], 1, half=False, recompute=recompute)
        for recompute in (False, True)
    )
    numbers, tokens = frames * 3 * size**2, 1 + frames * config.grid[1] * config.grid[2]
    print(
        f"{frames:>2} x {size} {numbers:>11,} {tokens:>7,} {kept['activations'] / 1e9:>6.2f} GB "
        f"{recomputed['activations'] / 1e9:>14.2f} GB"
    )
print(f"weights, gradients and momentum: 3 x {kept['weights'] / 1e9:.2f} GB")
