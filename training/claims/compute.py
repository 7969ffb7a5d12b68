"""Compute and size: loss against the arithmetic of training, for TopK and dense at two sizes, and the speed of decoding beside it.

    python -m claims.compute [--config CONFIG] [--runs RUNS] [--binary TOPK-LM [--small-topk DIR --small-dense DIR]]

The sizes are the proxy of claims.sweep_wide (its losses come from results/sweep_wide.json, its curves from RUNS/NAME/log.jsonl) and the models
that ship (config.json, training.json, and CONFIG for how k came down). Without --runs or --binary what an earlier result holds of it stays. The plot is results/compute.svg.

`training_flops` counts. A curve is the loss that was trained on; where `outward` is set, that has another term in it, so such a curve lies
above the loss of the next token alone, and only the losses at the end compare.
"""

import json
import statistics
import subprocess
import tomllib
from dataclasses import fields, replace
from pathlib import Path

from topklm.config import TrainConfig, read_config
from topklm.export import config_of, write_whole
from topklm.model import ModelConfig

from . import common, plot, sweep_wide

VOCABULARY = 4096
# TopK and dense of the proxy with the same kind of head: the first pair that was trained.
PAIRS = (("k48-untied-anneal", "dense-untied"), ("k48", "dense"))


def training_flops(c: ModelConfig, mean_k: float | None = None) -> dict:
    """Floating-point operations that training spends on a token, by part: two for each multiplication with its addition, and three times
    the forward pass (backward: the gradients of input and of weights). `blocks`: the seven matrices of each block. `attention`: scores and
    weighted sum over all n_ctx positions, as the code computes them, masked ones too. `head`: d × V. `sparse_saves`: what of `blocks` need
    not be computed where q, k and v behind a cut read `mean_k` entries instead of d; not subtracted from `total`. Not counted: norms,
    softmax, the selection of TopK (comparisons), the optimizer, which are equal or small, and the `outward` loss, which multiplies only one
    column of the head at one position in eight."""
    inner = c.n_heads * c.d_head
    block = c.d_model * (4 * inner + 3 * c.d_mlp)
    attention = 2 * c.n_ctx * inner
    cut_inputs = sum(c.k_at(layer - 1) is not None for layer in range(1, c.n_layers)) + bool(c.topk_embed)
    k = c.topk_k if mean_k is None else mean_k
    saved = 0 if k is None else cut_inputs * 3 * inner * (c.d_model - k)
    parts = {"blocks": c.n_layers * block, "attention": c.n_layers * attention, "head": c.d_model * c.d_vocab}
    counted = {name: 6 * count for name, count in parts.items()}
    return counted | {"total": sum(counted.values()), "sparse_saves": 6 * saved}


def mean_k(k: int, anneal) -> float:
    """k over a training that begins with other ones: anneal = [[share of the steps until which, k], …]."""
    total, begun = 0.0, 0.0
    for until, own in anneal:
        total, begun = total + (until - begun) * own, until
    return total + (1 - begun) * k


def shape(table: dict, dense: bool) -> ModelConfig:
    known = {f.name for f in fields(ModelConfig)}
    model = {key: value for key, value in table.items() if key in known and not (dense and key.startswith(("topk", "n_nontopk")))}
    return ModelConfig(**{"d_vocab": VOCABULARY} | model)


def entry(c: ModelConfig, anneal, tokens: int, loss: dict, parameters: int | None) -> dict:
    flops = training_flops(c, None if c.topk_k is None else mean_k(c.topk_k, anneal))
    return {
        "parameters": parameters,
        "tokens": tokens,
        "flops_a_token": flops,
        "flops": flops["total"] * tokens,
        "sparse_saves_share": flops["sparse_saves"] / flops["total"],
        "loss": {which: loss[which]["nats_per_token"] for which in ("held_out", "validation")},
    }


def thinned(points, most=40) -> list:
    """At most so many points of a curve, each the mean of as many neighbors."""
    size = -(-len(points) // most)
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [[statistics.mean(step for step, _ in g), statistics.mean(loss for _, loss in g)] for g in groups]


def trained_by(config: Path, folder: Path) -> tuple[ModelConfig, TrainConfig | None]:
    """(shape of an exported model, [train] of the config); None where the config is of another shape or length, so that the model was not trained
    with it."""
    about = json.loads((folder / "config.json").read_text())
    c = config_of(about)
    _, model, train = read_config(config, c.topk_k is None)
    tokens = train.all_steps(c.n_ctx) * train.batch * c.n_ctx
    fits = c == replace(model, d_vocab=model.d_vocab or c.d_vocab) and about.get("tokens_seen") == tokens
    return c, train if fits else None


def shipped(args) -> dict:
    found = {}
    for key, given, name in (("topk", args.topk, common.TOPK), ("dense", args.dense, common.DENSE)):
        folder = given or args.models / name
        if not (folder / "training.json").exists():
            continue
        training, about = (json.loads((folder / f"{name}.json").read_text()) for name in ("training", "config"))
        c, train = trained_by(args.config, folder)
        if train is None:
            raise ValueError(f"{folder} has another shape or length than {args.config}: name the config that it was trained with (--config)")
        a_step, share = train.batch * c.n_ctx, train.steps(c.n_ctx) / train.all_steps(c.n_ctx)
        anneal = [[until * share, k] for until, k in train.anneal]  # the config's shares are of the steps before `more`
        own = entry(c, anneal, about["tokens_seen"], training["eval"], None)
        own["curve"] = [[step * a_step * own["flops_a_token"]["total"], loss] for step, loss in thinned(training["loss"])]
        found[key] = own | {"name": folder.name, "outward": key == "topk" and bool(train.outward)}
    return found


def proxies(args, base: dict, earlier: dict) -> dict:
    settings = common.read(args.results, sweep_wide.NAME).get("settings", {})
    found = {}
    pair = next((pair for pair in PAIRS if all(settings.get(name, {}).get("run") for name in pair)), ())
    for key, name in zip(("topk", "dense"), pair, strict=False):
        setting, measured = sweep_wide.settings()[name], settings[name]
        c = shape(base["model"] | setting.get("model", {}), key == "dense")
        own = entry(c, measured["anneal"], measured["tokens"], measured["loss"], measured["parameters"])
        log = args.runs / name / "log.jsonl" if args.runs else None
        if log and log.exists():
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            points = thinned([(line["step"], line["loss"]) for line in lines if "loss" in line])
            own["curve"] = [[step * base["train"]["batch"] * c.n_ctx * own["flops_a_token"]["total"], loss] for step, loss in points]
        elif earlier.get(key, {}).get("name") == name and "curve" in earlier[key]:
            own["curve"] = earlier[key]["curve"]
        found[key] = own | {"name": name, "outward": bool(setting.get("train", {}).get("outward"))}
    return found


def speed(binary: Path, folders: dict[str, Path], rounds: int) -> dict:
    """Decoded tokens a second of each folder, on the CPU, in turn; medians, and the median ratio of topk to dense."""
    rates = {name: [] for name in folders}
    for _ in range(rounds):
        for name, folder in folders.items():
            call = [str(binary), "bench", "--model", str(folder), "--backend", "cpu", "--runs", "3", "--warmup", "1", "--json"]
            done = subprocess.run(call, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise RuntimeError(f"{call[0]} failed: {done.stderr.strip()}")
            rates[name].append(decode_rate(json.loads(done.stdout.strip().splitlines()[-1])))
    ratio = statistics.median(a / b for a, b in zip(rates["topk"], rates["dense"], strict=True))
    return {name: statistics.median(found) for name, found in rates.items()} | {"topk_to_dense": ratio, "rounds": rounds}


def decode_rate(report: dict) -> float:
    return report["figures"]["decode_tokens_per_s"]


def main():
    p = common.parser(__doc__, data=False, folders=True)
    common.takes_config(p)
    p.add_argument("--runs", type=Path, help="the folder of claims.sweep_wide's runs, for the proxy's curves")
    p.add_argument("--binary", type=Path, help="the topk-lm command, for the speeds")
    p.add_argument("--small-topk", type=Path, help="a folder of the proxy's shape, for its speed")
    p.add_argument("--small-dense", type=Path, help="the same without TopK")
    p.add_argument("--rounds", type=int, default=5, help="of the speeds, in turn")
    args = p.parse_args()
    earlier = common.read(args.results, "compute").get("sizes", {})
    small = tomllib.loads((common.CONFIGS / "proxy_wide.toml").read_text())
    sizes = {"proxy": proxies(args, small, earlier.get("proxy", {})), "shipped": shipped(args)}
    folders = {
        "proxy": {"topk": args.small_topk, "dense": args.small_dense},
        "shipped": {"topk": args.topk or args.models / common.TOPK, "dense": args.dense or args.models / common.DENSE},
    }
    for name, size in sizes.items():
        if {"topk", "dense"} <= set(size):
            pairs = {which: size["topk"]["loss"][which] / size["dense"]["loss"][which] for which in ("held_out", "validation")}
            size["gap_percent"] = {which: 100 * (ratio - 1) for which, ratio in pairs.items()}
        if args.binary and all(folders[name].values()):
            size["decode"] = speed(args.binary, folders[name], args.rounds)
        elif "decode" in earlier.get(name, {}):
            size["decode"] = earlier[name]["decode"]
    common.write(args.results, "compute", {"sizes": sizes})
    named = {"topk": "TopK", "dense": "dense"}
    lines = [
        (f"{named[key]}, {'proxy' if name == 'proxy' else 'as shipped'}{' (with the outward term)' if size[key]['outward'] else ''}", size[key]["curve"])
        for name, size in common.rounded(sizes).items()
        for key in named
        if "curve" in size.get(key, {})
    ]
    if lines:
        text = plot.lines("Training loss (nats per token) against training FLOPs", lines)
        write_whole(args.results / "compute.svg", text)


if __name__ == "__main__":
    common.run(main)
