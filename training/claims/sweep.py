"""The sweep over the cut's settings on a proxy (d 256, 4 blocks, 5 M tokens): k × loss × token entropy.

    python -m claims.sweep --data DATA --out RUNS [--base configs/proxy.toml] [--only NAME …]

Trains one setting after the other with topklm.train, each resumably: the same command goes on where it stopped. Settings that
are already trained are only measured. The table in results/sweep.json holds what is finished.
"""

import tomllib
from pathlib import Path

import numpy as np

from topklm import stats
from topklm.train import Trainer

from . import common, meaning

BASE = Path(__file__).parents[1] / "configs" / "proxy.toml"


def settings() -> dict[str, dict]:
    """Name -> the keys that differ from the base; None: the dense base."""
    grid = {"dense": None}
    for k in (8, 16, 32, 64):
        grid[f"k{k}"] = {"model": {"topk_k": k}}
    grid["k32-nontopk0"] = {"model": {"topk_k": 32, "n_nontopk": 0}}
    grid["k32-nontopk2"] = {"model": {"topk_k": 32, "n_nontopk": 2}}
    grid["k32-anneal"] = {"model": {"topk_k": 32}, "train": {"anneal": [[0.1, 128], [0.2, 64]]}}
    grid["k32-abs"] = {"model": {"topk_k": 32, "topk_select": "abs"}}
    grid["k32-relu"] = {"model": {"topk_k": 32, "topk_post": "relu"}}
    return grid


def config_text(base: dict, changes: dict | None) -> str:
    """The base with a setting's keys, as TOML (the values are numbers, strings, booleans and lists of them)."""
    table = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for section, keys in (changes or {}).items():
        table[section] |= keys

    def literal(value):
        if isinstance(value, bool):
            return str(value).lower()
        return f'"{value}"' if isinstance(value, str) else repr(value)

    lines = [f"{key} = {literal(value)}" for key, value in table.items() if not isinstance(value, dict)]
    for section in (key for key, value in table.items() if isinstance(value, dict)):
        lines += [f"\n[{section}]", *(f"{key} = {literal(value)}" for key, value in table[section].items())]
    return "\n".join(lines) + "\n"


def train(name: str, changes, base: dict, data: Path, out: Path) -> Trainer:
    """The setting's run, gone on with if it was begun; returns the trainer at its last step."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config_text(base, changes))
    trainer = Trainer(folder / "config.toml", data, folder, dense=changes is None)
    trainer.run()
    return trainer


def measure(trainer: Trainer, data: Path, positions: int) -> dict:
    """Loss and token entropy of a finished run; a dense base's coordinates by their better tail."""
    c, model = trainer.model_config, trainer.model.eval()
    blocks = [b for b in range(c.n_layers) if c.topk_k is None or c.k_at(b) is not None]
    tops = meaning.collect(model, meaning.held_out_documents(data, positions), blocks)
    tables = [stats.better_tail(tops[b][0].table(), tops[b][1].table()) for b in blocks]
    figures = meaning.summary(meaning.joined([{k: t[k] for k in tables[0]} for t in tables]))
    return {
        "k": c.topk_k,
        "n_nontopk": c.n_nontopk if c.topk_k else None,
        "select": c.topk_select if c.topk_k else None,
        "post": c.topk_post if c.topk_k else None,
        "annealed": bool(trainer.c.anneal),
        "loss": trainer.evaluate(),
        "token_entropy_median": figures["token_entropy"].get("median", float("nan")),
        "share_under_2_bits": figures["token_entropy"]["share_under_2_bits"],
        "dead": figures["dead"],
        "seconds_of_training": trainer.seconds,
    }


def main():
    p = common.parser(__doc__)
    p.add_argument("--out", type=Path, required=True, help="folder for the runs")
    p.add_argument("--base", type=Path, default=BASE, help="the proxy's config")
    p.add_argument("--only", nargs="*", help="only these settings")
    p.add_argument("--positions", type=int, default=100_000, help="held-out tokens for the entropies")
    args = p.parse_args()
    common.start(args)
    base = tomllib.loads(args.base.read_text())
    result = common.read(args.results, "sweep")
    result["proxy"] = {"config": args.base.name} | base["model"] | {"tokens": base["train"]["tokens"]}
    for name, changes in settings().items():
        if args.only and name not in args.only:
            continue
        trainer = train(name, changes, base, args.data, args.out)
        result.setdefault("settings", {})[name] = measure(trainer, args.data, args.positions)
        common.write(args.results, "sweep", result)
        print(name, result["settings"][name], flush=True)
    dense = result.get("settings", {}).get("dense")
    for entry in result.get("settings", {}).values() if dense else ():
        ours, theirs = (e["loss"]["validation"]["nats_per_token"] for e in (entry, dense))
        entry["gap_percent"] = float(100 * (ours / theirs - 1)) if np.isfinite(theirs) else None
    common.write(args.results, "sweep", result)


if __name__ == "__main__":
    main()
