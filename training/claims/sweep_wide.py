"""The second sweep: what a wide, sparse stream costs and what its neurons do outward (configs/proxy_wide.toml: 4 blocks, 2.5 M tokens).

    python -m claims.sweep_wide --data DATA --out RUNS [--only NAME …] [--measure]

Trains one setting after the other, each resumably (RUNS/NAME/state.pt): the same command goes on where it stopped. After each it is
measured (`proxy_meaning`) and results/sweep_wide.json is written; --measure only measures what is trained. Settings are in the order in
which they tell most. Those not reached stay in the result as `"run": false`.

The widths are compared at about equal products per token: a narrower stream gets wider heads and MLPs.
"""

import json
import tomllib
from pathlib import Path

from topklm.train import Trainer

from . import common, proxy_meaning, sweep

BASE = Path(__file__).parents[1] / "configs" / "proxy_wide.toml"
NAME = "sweep_wide"
# [share of the steps, k until then]: 25 % and 12.5 % of the width, then topk_k.
ANNEAL = [[0.15, 256], [0.4, 128]]
D512 = {"d_model": 512, "d_head": 64, "d_mlp": 768}
D256 = {"d_model": 256, "n_heads": 8, "d_head": 64, "d_mlp": 2048}
FREE = {"tied": False}


def settings() -> dict[str, dict]:
    """Name -> {"why", "dense", "model", "train"}: what differs from the base."""
    return {
        "dense": {"why": "the twin of all settings of this width", "dense": True},
        "k48": {"why": "4.7 %, rectified, one uncut block, tied head"},
        "k48-untied": {"why": "the head begun tied, then free", "model": FREE},
        "k48-untied-embed": {"why": "the embedding cut too", "model": FREE | {"topk_embed": True}},
        "k48-untied-nontopk0": {"why": "the last cut state feeds the head", "model": FREE | {"n_nontopk": 0}},
        "k48-untied-anneal": {"why": "k from 25 % down", "model": FREE, "train": {"anneal": ANNEAL}},
        "d512-k24": {"why": "half the width at equal density and equal products", "model": D512 | {"topk_k": 24}},
        "d512-dense": {"why": "the twin of that width", "dense": True, "model": D512},
        "k48-untied-nontopk2": {"why": "two uncut blocks", "model": FREE | {"n_nontopk": 2}},
        "k32-untied": {"why": "3.1 %", "model": FREE | {"topk_k": 32}},
        "k61-untied": {"why": "6.0 %", "model": FREE | {"topk_k": 61}},
        "dense-untied": {"why": "the twin with a free head", "dense": True, "model": FREE},
        "d256-k12": {"why": "a quarter of the width", "model": D256 | {"topk_k": 12}},
        "d256-dense": {"why": "the twin of that width", "dense": True, "model": D256},
        "k48-identity": {"why": "not rectified", "model": {"topk_post": "identity"}},
        "k48-untied-seed2": {"why": "another seed", "model": FREE, "seed": 2},
        "k48-untied-anneal-outward": {
            "why": "and a loss that makes promoted tokens predict what follows",
            "model": FREE,
            "train": {"anneal": ANNEAL, "outward": 0.1},
        },
    }


def config_of(base: dict, setting: dict) -> str:
    """The TOML of a setting."""
    table = base | {"seed": setting.get("seed", base["seed"])}
    return sweep.config_text(table, {section: setting[section] for section in ("model", "train") if section in setting})


def trainer(name: str, setting: dict, base: dict, data: Path, out: Path) -> Trainer:
    """The setting's run, where it stopped."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config_of(base, setting))
    return Trainer(folder / "config.toml", data, folder, setting.get("dense", False))


def logged(run: Trainer) -> list[dict]:
    path = run.out / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def described(run: Trainer) -> dict:
    """What a finished run says of itself: shape, seed, tokens, losses, speed."""
    c, lines = run.model_config, logged(run)
    keys = ("d_model", "n_heads", "d_head", "d_mlp", "topk_k", "n_nontopk", "topk_post", "topk_embed", "tied")
    shape = {key: getattr(c, key) for key in keys if c.topk_k is not None or "topk" not in key}
    return {
        **shape,
        "density_percent": None if c.topk_k is None else 100 * c.topk_k / c.d_model,
        "anneal": [list(pair) for pair in run.c.anneal],
        "seed": run.table["seed"],
        "parameters": sum(p.numel() for p in run.model.parameters()),
        "tokens": run.tokens_seen(),
        "train_loss": next(line["loss"] for line in reversed(lines) if "loss" in line),
        "loss": next(line["eval"] for line in reversed(lines) if "eval" in line),
        "products_in": run.precision.products,
        "seconds": run.seconds,
        "tokens_per_second": run.tokens_seen() / run.seconds,
    }


def twin_of(name: str, done: dict) -> str | None:
    """The finished dense setting of the same shape, with the same kind of head if there is one."""
    mine = done[name]
    dense = [n for n, e in done.items() if e.get("run") and e["density_percent"] is None and e["d_model"] == mine["d_model"]]
    return next((n for n in dense if done[n]["tied"] == mine["tied"]), dense[0] if dense else None)


def table(done: dict) -> dict:
    """All settings in their order, those that are finished with their `gap_percent` to the twin."""
    result = {}
    for name, setting in settings().items():
        entry = {"why": setting["why"]} | done.get(name, {"run": False})
        twin = twin_of(name, done) if entry.get("run") and entry["density_percent"] is not None else None
        if twin is not None:
            ours, theirs = entry["loss"], done[twin]["loss"]
            pairs = {w: ours[w]["nats_per_token"] / theirs[w]["nats_per_token"] for w in ("held_out", "validation")}
            entry["twin"] = twin
            entry["gap_percent"] = {which: 100 * (ratio - 1) for which, ratio in pairs.items()}
        result[name] = entry
    return result


def main():
    p = common.parser(__doc__)
    p.add_argument("--out", type=Path, required=True, help="folder for the runs")
    p.add_argument("--base", type=Path, default=BASE, help="the proxy's config")
    p.add_argument("--only", nargs="*", help="only these settings")
    p.add_argument("--measure", action="store_true", help="train nothing, measure again what is finished")
    args = p.parse_args()
    common.start(args)
    base = tomllib.loads(args.base.read_text())
    for name, setting in settings().items():
        done = {k: v for k, v in common.read(args.results, NAME).get("settings", {}).items() if v.get("run")}
        if args.only and name not in args.only or name in done and not args.measure:
            continue
        if args.measure and not (args.out / name / "state.pt").exists():
            continue
        run = trainer(name, setting, base, args.data, args.out)
        if args.measure and run.step < run.steps:
            continue
        if run.step < run.steps or not any("eval" in line for line in logged(run)):
            run.run()  # a run that was stopped after its last step is evaluated now
        done[name] = {"run": True} | described(run) | {"meaning": proxy_meaning.measure(run.model.eval(), args.data)}
        about = {"config": args.base.name} | base["model"] | {"tokens": base["train"]["tokens"], "batch": base["train"]["batch"]}
        common.write(args.results, NAME, {"proxy": about, "settings": table(done)})
        print(name, json.dumps(common.rounded(done[name])), flush=True)


if __name__ == "__main__":
    common.run(main)
