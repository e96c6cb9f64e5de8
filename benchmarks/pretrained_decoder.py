"""A LLaVA around a pretrained decoder, and the study on it: base and study on one GPU within ten minutes, no network.

    python benchmarks/pretrained_decoder.py --output DIR --decoder SmolLM2-135M-Instruct.Q4_1.gguf
    python benchmarks/pretrained_decoder.py --output DIR --small

It pretrains the base on captions (the embedded model's tower, a new connector, the decoder), then fine-tunes one copy
of it per family and seed and measures them all: `vtbench study --from DIR/base/model`. Started again it goes on where
it was. After --seconds it ends what runs, says so, and exits with 3. DIR/pretrained_decoder.json has the times, the
peak memory and the arithmetic in FLOP; DIR/study has the study's own report.

--lengths gpu is the default; `cpu` is one seed of two families, as little as says anything, in about two hours of one
core at 135 million parameters. --small makes a random decoder of two layers and runs the same code in some minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TEXT_TOKENS, QUESTION_TOKENS = 200, 46
"""Tokens behind the image: of captions packed into a row at most, and of a question with its answer in a chat."""
STOPPED = 3
"""Exit status where the time ran out."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long each part is."""

    connector: int
    """Steps, as the next two."""
    captions: int
    directions: int
    rows: int
    """Images in a step of the base."""
    families: tuple[str, ...]
    seeds: tuple[int, ...]
    steps: int
    """Of each model of the study."""
    batch_size: int
    items: int
    images: int
    probed: int
    dropped: int
    workers: int
    """Models that are trained and measured at a time."""
    device: str = "cpu"


FAMILIES = ("coarse", "attribute", "relational", "scene_graph")
LENGTHS: Mapping[str, Lengths] = {
    "gpu": Lengths(150, 250, 100, 32, FAMILIES, (0, 1), 300, 32, 200, 1000, 300, 40, workers=5, device="cuda"),
    "cpu": Lengths(60, 40, 0, 8, ("coarse", "relational"), (0,), 40, 16, 60, 200, 60, 20, workers=1),
    "small": Lengths(2, 2, 2, 2, ("coarse", "relational"), (0,), 2, 4, 20, 40, 40, 20, workers=1),
}


def main() -> int:
    if sys.argv[1:2] == ["--base"]:
        return train_base(*sys.argv[2:])
    options = arguments()
    lengths, output = LENGTHS[options.lengths], options.output
    output.mkdir(parents=True, exist_ok=True)
    decoder = options.decoder or random_decoder(output / "decoder")
    began, figures = time.monotonic(), {"lengths": asdict(lengths), "decoder": str(decoder)}
    commands = {
        "base": [sys.executable, __file__, "--base", str(decoder), str(output / "base"), json.dumps(asdict(lengths))],
        "study": study_command(lengths, output),
    }
    for name, command in commands.items():
        left = options.seconds - (time.monotonic() - began)
        seconds, status = run(command, output / f"{name}.log", left)
        figures[f"{name}_seconds"] = round(seconds, 1)
        if name == "base" and status == 0:
            figures |= json.loads((output / "base" / "figures.json").read_text(encoding="utf-8"))
            figures |= arithmetic(lengths, figures["parameters"], figures["image_tokens"])
        (output / "pretrained_decoder.json").write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {'done' if status == 0 else 'not finished'}, {seconds:.0f} s", flush=True)
        if status is None:
            print(f"the {options.seconds:g} s are over; {output / name}.log has the state, the same command resumes")
            return STOPPED
        if status:
            print((output / f"{name}.log").read_text(encoding="utf-8", errors="replace")[-2000:], file=sys.stderr)
            return 1
    print(json.dumps({key: value for key, value in figures.items() if key != "lengths"}, indent=1))
    print((output / "study" / "table.md").read_text(encoding="utf-8"))
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--decoder", help="directory or GGUF file of a causal language model")
    parser.add_argument("--lengths", default="gpu", choices=[name for name in LENGTHS if name != "small"])
    parser.add_argument("--small", dest="lengths", action="store_const", const="small")
    parser.add_argument("--seconds", type=float, default=570.0, help="after which it stops; 570 by default")
    options = parser.parse_args()
    if options.decoder is None and options.lengths != "small":
        parser.error("name a causal language model with --decoder; --small makes a random one")
    if LENGTHS[options.lengths].device == "cuda":
        import torch

        if not torch.cuda.is_available():
            parser.error("torch finds no GPU here; --lengths cpu and --small run on the CPU")
    return options


def run(command: Sequence[str], log: Path, seconds: float) -> tuple[float, int | None]:
    """Run a command for at most `seconds`; return how long it took and its exit status, None if it was ended."""
    began = time.monotonic()
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            status: int | None = process.wait(max(1.0, seconds))
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:  # it takes too long, or we were interrupted
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return time.monotonic() - began, status


def train_base(decoder: str, output: str, lengths: str) -> int:
    """Pretrain the base in this process."""
    import torch
    from process_memory import process_peak_gib
    from transformers import LlavaConfig

    from vtbench_training.pretrain.pipeline import pretrain
    from vtbench_training.pretrain.recipe import InitialTower, PretrainedDecoder, Recipe, Stage
    from vtbench_training.training_loop import Schedule

    of = json.loads(lengths)
    described = {"coarse": 1, "attribute": 2, "relational": 2, "scene_graph": 3}
    mixes = {"connector": described, "captions": described, "directions": {"relational": 4, "scene_graph": 3}}
    stages = [
        Stage(kind, Schedule(of[kind], rate, of["rows"], warmup=min(20, of[kind] // 5 + 1), save_every=20), mixes[kind])
        for kind, rate in (("connector", 1e-3), ("captions", 2e-4), ("directions", 2e-4))
        if of[kind]
    ]
    recipe = Recipe(graph_percent=0, stages=(PretrainedDecoder(decoder), InitialTower("embedded"), *stages))
    began = time.monotonic()
    device = torch.device(of["device"])
    finished = pretrain(recipe, Path(output), device, lambda line: print(json.dumps(line), flush=True))
    config = LlavaConfig.from_pretrained(finished)
    figures: dict[str, Any] = {"image_tokens": config.image_seq_length, "parameters": parameters(finished)}
    figures["base_train_seconds"] = round(time.monotonic() - began, 1)
    figures["base_peak_gib"] = round(
        torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else process_peak_gib(), 2
    )
    (Path(output) / "figures.json").write_text(json.dumps(figures), encoding="utf-8")
    return 0


def parameters(checkpoint: Path) -> int:
    """Return the number of parameters of a checkpoint's language model, its embeddings counted once."""
    from safetensors import safe_open

    count = 0
    for path in checkpoint.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                if "language_model" in name:
                    shape = file.get_slice(name).get_shape()
                    count += int(shape[0] * (shape[1] if len(shape) > 1 else 1))
    return count


def arithmetic(lengths: Lengths, parameters: int, image_tokens: int) -> dict[str, float]:
    """Return the training's arithmetic in units of 1e15 FLOP, at 2 a parameter and token for each pass.

    Three passes (forward; gradients of activations and of weights), but two where the decoder is frozen. Attention's
    own, the tower and all measuring come on top.
    """
    row, item = image_tokens + TEXT_TOKENS, image_tokens + QUESTION_TOKENS
    passes = 2 * lengths.connector + 3 * (lengths.captions + lengths.directions)
    models = len(lengths.families) * len(lengths.seeds)
    base = 2 * parameters * passes * lengths.rows * row
    study = 2 * parameters * 3 * models * lengths.steps * lengths.batch_size * item
    return {"base_pflop": base / 1e15, "study_pflop": study / 1e15}


def study_command(lengths: Lengths, output: Path) -> list[str]:
    """Return the command of the study: no mixes and no penalties, which would double it."""
    settings = {
        "from": output / "base" / "model",
        "families": ",".join(lengths.families),
        "seeds": ",".join(map(str, lengths.seeds)),
        "rate": 2e-4,
        "warmup": min(20, lengths.steps // 2),
        "mix": "none",
        "penalty": "none",
        "executor": f"local:workers={lengths.workers}",
        "output": output / "study",
    }
    settings |= {name: getattr(lengths, name) for name in ("steps", "items", "images", "probed", "dropped", "device")}
    settings["batch-size"] = lengths.batch_size
    flags = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    return [sys.executable, "-m", "vtbench", "study", *flags]


def random_decoder(directory: Path) -> Path:
    """Write a random LLaMA of two layers with the small models' tokenizer, unless it is there."""
    if not (directory / "config.json").exists():
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        from vtbench_training.small_models.components import decoder_sizes
        from vtbench_training.small_models.sizes import Sizes
        from vtbench_training.small_models.tokenizer import bpe_tokenizer

        tokenizer = bpe_tokenizer()
        torch.manual_seed(0)
        sizes = Sizes(hidden=32, layers=2, heads=2, kv_heads=2, intermediate=64)
        LlamaForCausalLM(LlamaConfig(**decoder_sizes(sizes, len(tokenizer)))).save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    return directory


if __name__ == "__main__":
    sys.exit(main())
