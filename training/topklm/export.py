"""Writes a trained run as the Hugging Face folder that the engine, transformers and the site read.

    python -m topklm.export --run RUN --data DATA --out models/NAME [--steps [N …]] [--twin ../DENSE]

config.json (Llama's keys plus topk_k, n_nontopk, topk_select, topk_post), modeling_topk.py (which runs a TopK model, and 8-bit weights, in transformers),
model.safetensors (f16), tokenizer.json, tokenizer_config.json, generation_config.json, training.json (the loss curve); with --steps a folder
step{N}/ for every checkpoint of the trail, or for those named, 8-bit with a scale a row.
A run that was begun with --from is exported over the folder that it began from: training.json then holds both curves.
"""

import argparse
import hashlib
import json
import pickle
import re
import shutil
import sys
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .data import SEPARATOR, read_json, said
from .model import ModelConfig, TopKLM

MODELING = Path(__file__).with_name("modeling_topk.py")


def hf_config(c: ModelConfig, **extra) -> dict:
    """The config.json of a model; `extra` keys are ours (training_step, tokens_seen, dense_twin).

    transformers computes in `torch_dtype`. It is f32 although the weights are stored as f16: rounded sums would let TopK choose other neurons.
    """
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": c.d_vocab,
        "hidden_size": c.d_model,
        "intermediate_size": c.d_mlp,
        "num_hidden_layers": c.n_layers,
        "num_attention_heads": c.n_heads,
        "num_key_value_heads": c.n_heads,
        "head_dim": c.d_head,
        "max_position_embeddings": c.n_ctx,
        "rms_norm_eps": c.norm_eps,
        "rope_theta": c.rope_theta,
        "hidden_act": "silu",
        "tie_word_embeddings": c.tied,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "torch_dtype": "float32",
    }
    if c.topk_k is not None:
        cut = {"topk_k": c.topk_k, "n_nontopk": c.n_nontopk, "topk_select": c.topk_select, "topk_post": c.topk_post}
        config |= cut | ({"topk_embed": True} if c.topk_embed else {})
    # Of a dense model too: it widens 8-bit weights.
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_topk.TopKLlamaForCausalLM"}
    return config | {k: v for k, v in extra.items() if v is not None}


def tokenizer_config(n_ctx: int) -> dict:
    """tokenizer_config.json: the one special token begins and ends a document; tokenizer.json puts it in front of a text."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SEPARATOR,
        "eos_token": SEPARATOR,
        "model_max_length": n_ctx,
        "clean_up_tokenization_spaces": False,
    }


def read_checkpoint(path: Path) -> tuple[ModelConfig, dict, dict]:
    """(config, tensors f32, metadata) of a checkpoint that the trainer wrote."""
    with safe_open(path, "pt") as file:
        meta = file.metadata()
        if "config" not in (meta or {}):
            raise ValueError(f"{path} is no checkpoint that the trainer wrote")
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    return ModelConfig(**json.loads(meta["config"])), tensors, meta


def config_of(table: dict, name: str | Path = "config.json") -> ModelConfig:
    """The ModelConfig of a config.json of our own kind (Llama, as many KV heads as heads, no biases, plain RoPE, SiLU)."""
    try:
        return ModelConfig(**fields_of(table))
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def fields_of(table: dict) -> dict:
    """The fields of ModelConfig in a config.json; an error names the key that is missing, or means what this code does not have."""
    needed = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings")
    wrong = [key for key in needed if not isinstance(table, dict) or type(table.get(key)) is not int or table[key] < 1]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} must be there, as whole numbers from 1 on: is it the config of a Llama model?")

    def given(key, default):
        value = table.get(key)
        return default if value is None else value

    heads = table["num_attention_heads"]
    if given("num_key_value_heads", heads) != heads or table.get("attention_bias") or table.get("mlp_bias"):
        raise ValueError("grouped KV heads and biases are not what this code trains")
    if given("hidden_act", "silu") != "silu":
        raise ValueError(f"hidden_act is {table['hidden_act']!r}; this code has 'silu' alone")
    if table.get("rope_scaling") is not None:
        raise ValueError(f"rope_scaling is {table['rope_scaling']}; this code has RoPE without scaling alone")
    rope = given("rope_parameters", {})  # where transformers 5 writes RoPE
    if not isinstance(rope, dict) or set(rope) - {"rope_type", "rope_theta"} or rope.get("rope_type", "default") != "default":
        raise ValueError(f"rope_parameters is {rope}; this code has a rope_theta and the rope_type 'default' alone")
    return {
        "d_vocab": table["vocab_size"],
        "d_model": table["hidden_size"],
        "n_layers": table["num_hidden_layers"],
        "n_heads": heads,
        "d_head": given("head_dim", table["hidden_size"] // heads),
        "d_mlp": table["intermediate_size"],
        "n_ctx": table["max_position_embeddings"],
        "topk_k": table.get("topk_k"),
        "n_nontopk": given("n_nontopk", 0),
        "topk_select": given("topk_select", "value"),
        "topk_post": given("topk_post", "identity"),
        "topk_embed": given("topk_embed", False),
        "rope_theta": given("rope_theta", 10_000.0) if rope.get("rope_theta") is None else rope["rope_theta"],
        "norm_eps": given("rms_norm_eps", 1e-6),
        "tied": given("tie_word_embeddings", False),
    }


def owner_of(folder: Path) -> Path:
    """The exported folder that a step{N}/ lies in; an exported folder itself."""
    return folder if (folder / "config.json").exists() else folder.parent


def load_model(path: Path) -> TopKLM:
    """The model of a checkpoint that the trainer wrote (a file), or of an exported folder or its step{N}/ (f32)."""
    if path.is_dir():
        described = owner_of(path) / "config.json"
        config = config_of(read_json(described), described)
        tensors = read_weights(path / "model.safetensors")
    else:
        config, tensors, _ = read_checkpoint(path)
    tensors = {k: v for k, v in tensors.items() if not k.endswith("inv_freq") and not (config.tied and k == "lm_head.weight")}
    model = TopKLM(config)
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    if unexpected or [name for name in missing if not (config.tied and name == "lm_head.weight")]:
        raise ValueError(f"{path}: missing {missing}, left over {unexpected}")
    return model.eval()


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file in f32; `NAME` I8 [out, in] with `NAME.scale` F32 [out] means q · scale."""
    with safe_open(path, "pt") as file:
        raw = {name: file.get_tensor(name) for name in file.keys()}
    tensors = {}
    for name, value in raw.items():
        if name.endswith(".scale") and name.removesuffix(".scale") in raw:
            continue
        scale = raw.get(f"{name}.scale")
        tensors[name] = value.float() * scale[:, None] if scale is not None else value.float()
    return tensors


def stored_as(path: Path) -> str:
    """How the matrices of a model folder or a checkpoint are stored: "8-bit", "f16" or "f32"."""
    with safe_open(path / "model.safetensors" if path.is_dir() else path, "pt") as file:
        kind = file.get_slice("model.embed_tokens.weight").get_dtype()
    return {"I8": "8-bit"}.get(kind, kind.lower())


def write_whole(path: Path, *parts):
    """A file of texts or bytes, written beside and moved into place, so that an interruption leaves the earlier one."""
    draft = path.with_name(f"{path.name}.part")
    with draft.open("wb") as file:
        for part in parts:
            file.write(part.encode() if isinstance(part, str) else part)
    draft.replace(path)


def write_tensors(tensors: dict, path: Path, metadata: dict):
    """A safetensors file whose bytes depend on what it holds alone: the library writes the keys of `metadata` in any order."""
    written = save(tensors, metadata)
    end = 8 + int.from_bytes(written[:8], "little")
    header = json.loads(written[8:end]) | {"__metadata__": dict(sorted(metadata.items()))}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # numbers begin at a multiple of 8
    write_whole(path, len(text).to_bytes(8, "little"), text, memoryview(written)[end:])


def to_f16(tensors: dict) -> dict:
    """f16 tensors; an error where a value does not fit."""
    out = {}
    for name, value in tensors.items():
        out[name] = value.to(torch.float16)
        if not out[name].isfinite().all():
            raise ValueError(f"{name}: a value does not fit into f16")
    return out


def to_8bit(tensors: dict) -> dict:
    """Matrices as I8 rows with one f32 scale each (largest magnitude / 127), everything else f32."""
    out = {}
    for name, value in tensors.items():
        if value.ndim != 2:
            out[name] = value.float()
            continue
        scale = value.float().abs().amax(dim=1) / 127
        safe = torch.where(scale > 0, scale, torch.ones_like(scale))
        out[name] = (value.float() / safe[:, None]).round().clamp(-127, 127).to(torch.int8)
        out[f"{name}.scale"] = scale
    return out


def state_of(run: Path, device: str | None = None) -> dict:
    """RUN/state.pt on the device, without one its tensors unread; empty where it was not kept."""
    path = run / "state.pt"
    try:
        return torch.load(path, map_location=device or "cpu", weights_only=True, mmap=device is None) if path.exists() else {}
    except (RuntimeError, EOFError, pickle.UnpicklingError):
        raise ValueError(f"{path} is not a whole state of a run; remove the whole folder {run} and train again") from None


def vocabulary(data: Path) -> dict[str, int]:
    """The tokens of DATA/tokenizer.json, each with its id."""
    from tokenizers import Tokenizer

    path = data / "tokenizer.json"
    if not path.is_file():
        raise FileNotFoundError(f"--data: {data} has no tokenizer.json; name the folder that topklm.data wrote")
    try:
        return Tokenizer.from_file(str(path)).get_vocab()
    except Exception as error:  # the library raises nothing more special
        raise ValueError(f"{path} is no tokenizer.json: {error}") from None


def check_tokenizer(run: Path, data: Path, state: dict, d_vocab: int):
    """Refuses a DATA whose tokenizer is not the one that the run was trained with."""
    there, path = len(vocabulary(data)), data / "tokenizer.json"
    then = state.get("read", {}).get("tokenizer.json")  # states from before it was stored have none
    if there > d_vocab or then and then != hashlib.sha256(path.read_bytes()).hexdigest():
        raise ValueError(f"{path} is not the tokenizer that {run} was trained with; give the --data of its training")


def read_log(path: Path) -> list[dict]:
    """The lines of a log.jsonl, without a last one that an interruption cut off."""
    lines, found = path.read_text().splitlines(keepends=True), []
    for number, line in enumerate(lines, 1):
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError as error:
            if line.endswith("\n"):
                raise ValueError(f"{path}: line {number} is not valid JSON: {error}") from None
    return found


def remove_stale(out: Path, written: set[str], began: int):
    """Takes the step{N}/ of an earlier export away, which would pass for this run's: all but those that are `written` now and, where the run
    began with stored weights, those of the steps up to there."""
    for folder in out.iterdir():
        step = re.fullmatch(r"step(\d+)", folder.name)
        if step and folder.name not in written and int(step[1]) > began and folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
            print(f"removed {folder}, which an earlier export had left", file=sys.stderr)


def curve(run: Path, earlier: dict | None = None) -> dict:
    """training.json: {"loss": [[step, nats a token], …], "eval": the last evaluation, "seconds": training time}.

    Of a run that was begun at a step with stored weights, `earlier` (the training.json that came with them) gives the losses
    up to that step and its share of the time; `begun_at` {"step", "seconds"} then says what was taken.
    """
    log = run / "log.jsonl"
    lines = read_log(log) if log.exists() else []
    losses = {line["step"]: round(line["loss"], 3) for line in lines if "loss" in line}
    evaluation = next((line["eval"] for line in reversed(lines) if "eval" in line), None)
    seconds = max((line["seconds"] for line in lines if "loss" in line), default=0)
    began = state_of(run).get("began_at", 0)
    before = {}
    if began and earlier:
        kept = {step: loss for step, loss in earlier["loss"] if step <= began}
        taken = earlier.get("begun_at", {})
        if taken.get("step") != began:  # else this folder was exported from the same run before
            taken = {"step": began, "seconds": round(earlier["seconds"] * min(1, began / max(step for step, _ in earlier["loss"])))}
        losses, seconds, before = kept | losses, seconds + taken["seconds"], {"begun_at": taken}
    return {"loss": sorted(losses.items()), "eval": evaluation, "seconds": round(seconds)} | before


def export(run: Path, data: Path, out: Path, steps: bool | list[int], twin: str | None):
    """Writes the folder; the last checkpoint of the trail becomes the model. `steps`: which others are kept beside it."""
    trail = sorted((run / "checkpoints").glob("step*.safetensors"), key=lambda p: int(p.stem.removeprefix("step")))
    state = state_of(run)
    trail = [path for path in trail if int(path.stem.removeprefix("step")) <= state.get("step", float("inf"))]
    if not trail:
        raise FileNotFoundError(f"{run / 'checkpoints'} holds no step*.safetensors: train first")
    beside = {int(path.stem.removeprefix("step")): path for path in trail[:-1]}
    if isinstance(steps, list):
        absent = [str(step) for step in steps if step not in beside]
        if absent:
            there = ", ".join(map(str, beside)) or "none"
            raise ValueError(f"--steps: {', '.join(absent)} is no checkpoint beside the last one in {run / 'checkpoints'}; there: {there}")
        beside = {step: beside[step] for step in steps}
    config, tensors, meta = read_checkpoint(trail[-1])
    check_tokenizer(run, data, state, config.d_vocab)
    tensors = to_f16(tensors)
    losses = out / "training.json"
    training = curve(run, read_json(losses) if losses.exists() else None)
    out.mkdir(parents=True, exist_ok=True)  # from here on nothing is left to be refused
    # A run that began at step 0, or with random weights, keeps none.
    remove_stale(out, {path.stem for path in beside.values()} if steps else set(), state.get("began_at", 0) or -1)
    extra = {"training_step": int(meta["step"]), "tokens_seen": int(meta["tokens"]), "dense_twin": twin}
    generation = {"bos_token_id": 0, "eos_token_id": 0, "do_sample": True, "temperature": 0.7, "top_k": 0}
    tables = {"config": hf_config(config, **extra), "generation_config": generation, "tokenizer_config": tokenizer_config(config.n_ctx)}
    for name, table in tables.items():
        write_whole(out / f"{name}.json", json.dumps(table, indent=2) + "\n")
    write_whole(out / MODELING.name, MODELING.read_bytes())
    write_whole(losses, json.dumps(training, separators=(",", ":")) + "\n")
    write_whole(out / "tokenizer.json", (data / "tokenizer.json").read_bytes())
    write_tensors(tensors, out / "model.safetensors", {"format": "pt"})
    for path in beside.values() if steps else []:
        folder = out / path.stem
        folder.mkdir(exist_ok=True)
        write_tensors(to_8bit(read_checkpoint(path)[1]), folder / "model.safetensors", {"format": "pt"})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, nargs="*", metavar="N", help="also the trail of checkpoints, 8-bit; with numbers only these")
    parser.add_argument("--twin", help="relative path of the dense twin's folder, kept in config.json")
    args = parser.parse_args()
    try:
        export(args.run, args.data, args.out, args.steps or args.steps is not None, args.twin)
    except (OSError, ValueError, SafetensorError) as error:
        parser.error(said(error))


if __name__ == "__main__":
    main()
