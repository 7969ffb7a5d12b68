"""What every claim needs: which models, which text, where results go."""

import argparse
import hashlib
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer

from topklm.data import check_folder, read_tokens, said
from topklm.export import load_model, owner_of, write_whole
from topklm.model import TopKLM

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results")
CONFIGS = Path(__file__).parents[1] / "configs"
TOPK, DENSE = "Llama-TopK-Stories-16M", "Llama-Dense-Stories-16M"


@dataclass
class Subject:
    """A model under test with what is needed to name it again."""

    model: TopKLM
    tokenizer: Tokenizer
    about: dict  # name, training_step, sha256 of the weights

    @property
    def cut_blocks(self) -> list[int]:
        return self.model.config.cut_blocks


def run(main):
    """Runs a claim's main; what is wrong with a path, a file or a value is told in a sentence, as the commands of topklm do."""
    try:
        main()
    except (OSError, ValueError, SafetensorError) as error:
        argparse.ArgumentParser(usage=argparse.SUPPRESS).error(said(error))


def model_folder(path: str) -> Path:
    """The type of an argument that names a model of which more is read than its weights."""
    if Path(path).is_file():
        raise argparse.ArgumentTypeError(f"{path} is a file; name the model's folder (topklm.export makes one of a run), since more is read than the weights")
    return Path(path)


def parser(doc: str, data: bool = True, folders: bool = False) -> argparse.ArgumentParser:
    """The arguments that all claims share; with `folders` a trainer's checkpoint is no model."""
    p = argparse.ArgumentParser(description=doc.splitlines()[0])
    p.add_argument("--models", type=Path, default=ROOT / "models", help="folder that holds both model folders")
    kind, of = ("folder", model_folder) if folders else ("folder or trainer's checkpoint", Path)
    p.add_argument("--topk", type=of, help=f"{kind} instead of MODELS/{TOPK}")
    p.add_argument("--dense", type=of, help=f"{kind} instead of MODELS/{DENSE}")
    if data:
        p.add_argument("--data", type=Path, required=True, help="the folder that topklm.data wrote")
    p.add_argument("--results", type=Path, default=RESULTS, help="where the JSON goes")
    p.add_argument("--threads", type=int, help="PyTorch threads")
    p.add_argument("--device", default="cpu", help="where models run: cpu, or cuda")
    return p


def takes_config(p: argparse.ArgumentParser):
    p.add_argument("--config", type=Path, default=CONFIGS / "small.toml", help="what the models were trained with: how k came down is in no model folder")


def start(args):
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.device != "cpu":
        torch.set_default_device(args.device)
    torch.manual_seed(0)


def subject(path: Path, data: Path | None = None) -> Subject:
    """The model at `path`: an exported folder, its step{N}/, or a checkpoint of the trainer (whose tokenizer is DATA's)."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: train and export the model first, or choose another one")
    model = load_model(path)
    weights = path / "model.safetensors" if path.is_dir() else path
    # Resolved, since `step8.safetensors` alone does not tell the run.
    name = path.name if path.is_dir() else f"{path.resolve().parents[1].name}/{path.stem}"
    about = {"name": name, "sha256": sha256(weights)}
    if path.is_dir():
        owner = owner_of(path)
        tokenizer = Tokenizer.from_file(str(owner / "tokenizer.json"))
        about["training_step"] = json.loads((owner / "config.json").read_text()).get("training_step")
    else:
        if data is None:
            raise ValueError(f"{path} is a checkpoint without a tokenizer; use --data to name the folder that has one")
        tokenizer = Tokenizer.from_file(str(data / "tokenizer.json"))
        about["training_step"] = int(path.stem.removeprefix("step"))
    for p in model.parameters():
        p.requires_grad_(False)
    return Subject(model, tokenizer, about)


def subjects(args, data: Path | None = None) -> tuple[Subject, Subject | None]:
    """(TopK, dense twin or None where it does not exist yet and was not named)."""
    topk = subject(args.topk or args.models / TOPK, data)
    path = args.dense or args.models / DENSE
    return topk, subject(path, data) if args.dense or (path / "config.json").exists() else None


def same_tokens(subject: Subject, data: Path):
    """Refuses ids that DATA's tokenizer made for another vocabulary: the model would read other words, and say nothing of it."""
    if Tokenizer.from_file(str(data / "tokenizer.json")).get_vocab() != subject.tokenizer.get_vocab():
        raise ValueError(f"{data} was made with another tokenizer than {subject.about['name']}'s: make it with topklm.data --tokenizer MODEL/tokenizer.json")


def normal(shape, seed: int) -> torch.Tensor:
    """Normal numbers of a seed, drawn on the CPU: the same on every device."""
    drawn = torch.randn(shape, generator=torch.Generator().manual_seed(seed), device="cpu")
    return drawn.to(torch.get_default_device())


def rotation(d: int, seed: int) -> torch.Tensor:
    """A random orthogonal [d, d]."""
    return torch.linalg.qr(normal((d, d), seed))[0]


def at_once(on_cpu: int, on_gpu: int) -> int:
    """How many rows a batch is to have."""
    return on_cpu if torch.get_default_device().type == "cpu" else on_gpu


def sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def texts(data: Path) -> dict:
    """The arrays of tokens.npz: `validation.ids` (where there is such a text), `held_out.ids`, `held_out.starts`, and those of every source."""
    check_folder(data)
    return read_tokens(data)


def sources(arrays: dict) -> list[str]:
    """The files that are trained on, of the arrays of `texts`."""
    names = [name.removesuffix(".starts") for name in arrays if name.endswith(".starts")]
    return [name for name in names if name not in ("held_out", "test")]


def rounded(value, digits: int = 4):
    """Floats to `digits` significant ones, in any nesting; NaN and infinities become null."""
    if isinstance(value, dict):
        return {k: rounded(v, digits) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v, digits) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value.item() if isinstance(value, np.integer) else value


def quartiles(values) -> dict:
    """Median, quartiles and count of the finite values."""
    v = np.asarray(values, dtype=float)
    v = v[np.isfinite(v)]
    if not len(v):
        return {"count": 0}
    low, median, high = np.quantile(v, [0.25, 0.5, 0.75])
    return {"count": len(v), "q25": low, "median": median, "q75": high, "mean": v.mean()}


class Clock:
    """Wall seconds since it was made."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self) -> float:
        return round(time.monotonic() - self.began, 1)


def read(results: Path, name: str) -> dict:
    """An earlier result, or an empty one: a claim of which one part is run again keeps the others."""
    path = results / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write(results: Path, name: str, result: dict):
    results.mkdir(parents=True, exist_ok=True)
    write_whole(results / f"{name}.json", json.dumps(rounded(result), indent=1, ensure_ascii=False) + "\n")
