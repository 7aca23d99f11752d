"""The training loop, on as many devices as Accelerate was launched on."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import torch
from accelerate import Accelerator, DataLoaderConfiguration
from accelerate.optimizer import AcceleratedOptimizer
from accelerate.utils import GradientAccumulationPlugin
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from timesformer_ref.checkpoints.pretrained import TimeSformer
from timesformer_ref.training.chance import seed_sequence
from timesformer_ref.training.evaluate import Evaluation, Source, check_together, evaluate
from timesformer_ref.training.recipe import Precision, Recipe, count_steps, learning_rate
from timesformer_ref.training.state import History, RunError, load_state, save_state
from timesformer_ref.training.tables import CLASSES, CONFUSION, PREDICTIONS

STATE, LAST, BEST, LOG = "state.safetensors", "last.safetensors", "best.safetensors", "log.jsonl"
SAID, UNREADABLE, TENSORBOARD = "log.txt", "unreadable.jsonl", "tensorboard"
FILES = (
    *(LAST, BEST, STATE, LOG, SAID, "losses.png", "confusion.png"),
    *(CONFUSION, CLASSES, PREDICTIONS, UNREADABLE, TENSORBOARD),
)
"""What a run writes to its folder."""
EVALUATIONS = 10
"""Evaluations of a run without epochs."""


class Report(NamedTuple):
    """A run after `step` steps: the mean loss of the last one's clips, and the evaluation after it.

    best: whether that is the best so far.
    """

    step: int
    steps: int
    learning_rate: float
    loss: float
    evaluation: Evaluation | None = None
    best: bool = False


def train(
    model: TimeSformer,
    source: Source,
    recipe: Recipe,
    *,
    seed: int = 0,
    validation: Source | None = None,
    evaluate_every: int | None = None,
    videos_at_once: int = 1,
    out: Path | None = None,
    resume: bool = False,
    save_every: int = 200,
    settings: Mapping[str, Any] | None = None,
    class_weights: Sequence[float] | None = None,
    accumulate: int = 1,
    mixed_precision: Precision | None = None,
    tensorboard: bool = False,
    workers: int = 0,
    report: Callable[[Report], str | None] = lambda report: None,
) -> History:
    """Train a model in place, and return the loss of every step.

    source: clip number k of the run by `source[k]`: its video t c H W, and its class. Step s takes
        the clips from `s * recipe.batch_size` on. Its length, if it has one, is an epoch.
    seed: of dropout and stochastic depth, set again for each step and process.
    validation: videos by their views, v t c H W, and their classes; evaluated every
        `evaluate_every` steps (None: each epoch, or ten times) and at the end, `videos_at_once` on
        each device.
    out: the run's folder (see `FILES`), saved every `save_every` steps. None writes nothing.
    resume: continue from the state in `out`, if there is one; otherwise `out` must hold no run.
    settings: what else, as JSON, must be the same when a run is resumed.
    class_weights: of a clip's loss by its class, 1 on average; None for 1 each.
    accumulate: the number of parts in which a step is computed, to save memory.
    mixed_precision: None for what Accelerate was launched with. tensorboard: write its events too.
    workers: processes that make clips, for each device.
    report: called after every step, on the main process; where it returns a reason to stop, the
        run is saved and ends with a RunError that gives it.

    Raises RunError for a folder that holds another run, where the loss is not finite, and where
    several processes would train alone; ValueError for arguments that do not fit together.
    """
    accelerator = _accelerator(accumulate, mixed_precision, out if tensorboard else None)
    steps = count_steps(recipe, len(source) if isinstance(source, Sized) else None)
    evaluate_every = evaluate_every or max(1, steps // (recipe.epochs or EVALUATIONS))
    settings = {
        "recipe": asdict(recipe),
        "steps": steps,
        "seed": seed,
        "mixed precision": accelerator.mixed_precision,
        "config": asdict(model.config),
        **(settings or {}),
    }
    weights = None if class_weights is None else torch.tensor(class_weights).to(accelerator.device)
    processes, size = accelerator.num_processes, recipe.batch_size
    if size % (accumulate * processes):
        raise ValueError(
            f"batch_size {size} cannot be cut into {accumulate} parts for each of {processes} "
            f"devices: use a multiple of {accumulate * processes}"
        )
    optimizer = make_optimizer(recipe, model)
    # The model keeps its parameters; what is prepared shares them.
    spread, stepper = accelerator.prepare(model, optimizer)
    history = History()
    if out and (out / STATE).exists() and resume:
        history = load_state(out / STATE, model, optimizer, accelerator.scaler, settings)
    elif out and accelerator.is_main_process:
        begin_folder(out, resume)
    start = len(history.losses)
    loader = DataLoader(
        source,
        size // accumulate,  # of which Accelerate gives each process its share
        sampler=range(start * size, steps * size),
        num_workers=workers,
        generator=torch.Generator(),  # its draws would shift those of dropout
        pin_memory=torch.cuda.is_available(),
    )
    parts = iter(accelerator.prepare(loader))
    writer = out if accelerator.is_main_process else None
    if writer:
        _log(writer / LOG, history, recipe, steps)
    accelerator.init_trackers(TENSORBOARD)

    for step in range(start + 1, steps + 1):
        rate = learning_rate(recipe, step - 1, steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        # dropout follows from the step, so that a resumed run repeats it
        chance = seed_sequence(seed, step, accelerator.process_index)
        torch.manual_seed(int(chance.generate_state(1)[0]))
        model.train()
        loss = _step(accelerator, spread, stepper, parts, accumulate, recipe, weights)
        if not isfinite(loss):
            raise RunError(f"the loss of step {step} is {loss}: use a lower learning rate")
        history.losses.append(loss)
        found = None
        if validation is not None and (step % evaluate_every == 0 or step == steps):
            found = evaluate(model, validation, accelerator, videos_at_once, workers)
            history.scores[step] = found.scores
        best = found is not None and history.best == step
        curves = {f"validation {name}": s for name, s in history.scores.get(step, {}).items()}
        accelerator.log({"loss": loss, "learning rate": rate} | curves, step)
        if writer and best:
            model.save_pretrained(writer / BEST)
        if writer:
            _log(writer / LOG, history, recipe, steps, step - 1)
        latest = Report(step, steps, rate, loss, found, best)
        reason = report(latest) if accelerator.is_main_process else None
        if writer and (reason or step % save_every == 0 or step == steps):
            model.save_pretrained(writer / LAST)
            save_state(writer / STATE, model, optimizer, accelerator.scaler, history, settings)
        if reason:
            raise RunError(f"{reason}; saved after step {step} of {steps}: go on with --resume")
    accelerator.wait_for_everyone()
    accelerator.unwrap_model(spread, keep_fp32_wrapper=False)
    model.eval()
    return history


def begin_folder(out: Path, resume: bool) -> None:
    """Leave nothing of another run in a folder where one begins.

    What a run left that was killed before its first save is removed where it is to be resumed.
    Raises RunError for a folder with anything else of a run.
    """
    there = [name for name in FILES if (out / name).exists()]
    if there and not resume:
        raise RunError(
            f"{out}: holds {there[0]} of a run: --resume it, --overwrite it, or give another folder"
        )
    empty_folder(out)


def empty_folder(out: Path) -> None:
    """Remove what a run has written."""
    for name in FILES:
        shutil.rmtree(out / name, ignore_errors=True)  # where it is a folder
        (out / name).unlink(missing_ok=True)


def _accelerator(
    accumulate: int, mixed_precision: Precision | None, events: Path | None
) -> Accelerator:
    parts = GradientAccumulationPlugin(num_steps=accumulate, sync_with_dataloader=False)
    accelerator = Accelerator(
        log_with=TENSORBOARD if events else None,
        project_dir=events,
        mixed_precision=mixed_precision,
        gradient_accumulation_plugin=parts,
        dataloader_config=DataLoaderConfiguration(split_batches=True, non_blocking=True),
    )
    if accelerator.mixed_precision != "no" and not accelerator.native_amp:
        raise ValueError(f"{accelerator.mixed_precision} needs a GPU: use bf16, or no")
    check_together(accelerator)
    return accelerator


def make_optimizer(recipe: Recipe, model: TimeSformer) -> torch.optim.Optimizer:
    """The recipe's optimizer of all weights of a model; those that it leaves need no gradient."""
    if recipe.last_blocks is not None:
        depth = model.config.num_hidden_layers
        last = range(depth - recipe.last_blocks, depth)
        trained = ("norm.", "head.", *(f"blocks.{block}." for block in last))
        for name, weight in model.named_parameters():
            weight.requires_grad_(name.startswith(trained))
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(model.parameters(), rate, weight_decay=decay)
    return torch.optim.SGD(
        model.parameters(), rate, recipe.momentum, weight_decay=decay, nesterov=recipe.momentum > 0
    )


def _step(
    accelerator: Accelerator,
    model: nn.Module,
    optimizer: AcceleratedOptimizer,
    parts: Iterator[tuple[Tensor, Tensor]],
    accumulate: int,
    recipe: Recipe,
    weights: Tensor | None,
) -> float:
    """Train on the clips of one step, part by part; returns the mean loss over all processes."""
    losses = []
    for _ in range(accumulate):
        video, label = next(parts)
        with accelerator.accumulate(model):
            logits = model(video).logits
            smoothing = recipe.label_smoothing
            loss = F.cross_entropy(logits, label, label_smoothing=smoothing, reduction="none")
            loss = (loss if weights is None else loss * weights[label]).mean()
            accelerator.backward(loss)
            if recipe.clip_norm and accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            optimizer.step()  # which Accelerate does after the last part only
            optimizer.zero_grad()
        losses.append(loss.detach())
    return float(accelerator.reduce(torch.stack(losses).mean(), "mean"))


def _log(path: Path, history: History, recipe: Recipe, steps: int, since: int = 0) -> None:
    """Add a line for each later step: JSON, with the scores of the evaluation after it.

    From the first step on, nothing else is left, such as later lines of a killed run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a" if since else "w", encoding="utf-8") as log:
        for step, loss in enumerate(history.losses[since:], since + 1):
            rate = learning_rate(recipe, step - 1, steps)
            row: dict[str, Any] = {"step": step, "learning_rate": rate, "loss": loss}
            if step in history.scores:
                row["scores"] = history.scores[step]
            log.write(json.dumps(row) + "\n")
