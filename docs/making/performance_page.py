"""The performance page, from what the benchmark wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docs.making.tables import table


def timings_table(found: dict[str, Any]) -> str:
    """One run of the benchmark: what was timed, and on what."""
    rows = [
        [
            t["name"],
            f"{t['median_seconds']:.2f} s",
            f"{t['ratio']:.2f}",
            f"{t['floor_ratio']:.2f}",
            "" if t["difference"] is None else f"{t['difference']:.1e}",
        ]
        for t in found["timings"]
    ]
    head = ["", "median time of a clip", "to transformers", "to the products", "off by"]
    return f"""## {found["dtype"]}

{found["case"]}, one clip, {found["repeats"]} rounds, on {found["machine"]}.

{table(head, rows)}"""


def performance_page(data: Path) -> str:
    """The last benchmarks' figures. Raises FileNotFoundError where there are none."""
    names = "bench.json", "bench-bfloat16.json"
    tables = [timings_table(json.loads((data / name).read_text())) for name in names]
    return f"""# Performance

In each round all run in turn. Ratios are medians of the rounds' ratios to the first row and to the
last, the original's linear layers as bare matrix products with nothing between them. The last
column is the largest difference of any logit from the first row's, in parts of the largest logit.

{chr(10).join(tables)}
## Measure

Repeat it on your machine:

```sh
timesformer-ref bench --compile --json bench.json
timesformer-ref bench --dtype bfloat16 --json bench-bfloat16.json
```

`--frames`, `--size` and `--scheme` time other cases.

## Folding

`fold(model)` of `timesformer_ref.torch_blocks.fold` makes a copy for inference that computes the
same with fewer operations. Nothing is approximated:

- **One product for two.** Between the projection of an earlier step (A, a) and the linear layer
  after it (B, b) stands nothing, so `B (A x + a) + b = (B A) x + (B a + b)`: of the seventeen
  products of width d × d that a divided block computes for a patch, one is gone.
- **Norms without weights.** A LayerNorm scales by s and shifts by r; the layer that reads it has W
  and c: `W (s z + r) + c = (W diag s) z + (W r + c)`.
- **Frames as they are stored.** With `fold(model, mean, std)` the normalisation of pixels moves
  into the patch projection, and uint8 frames go in:
  `W ((x / 255 - mean) / std) = (W / (255 std)) x - W (mean / std)`.

The new weights are computed in float64 and rounded once to the model's type. A test holds the
folded model to the original one within the rounding of float64, for all five schemes, and as a
[port](conformance.md) it passes the suite. The model that was folded stays as it was.
"""
