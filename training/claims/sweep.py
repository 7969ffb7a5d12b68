"""The sweep over settings of the TopK activation on a proxy (d 256, 4 blocks, 5 M tokens): k × loss × token entropy.

    python -m claims.sweep --data DATA --out RUNS [--base configs/proxy.toml] [--only NAME …]

Trains one setting after the other with topklm.train, each resumably: the same command continues where it stopped. Settings in
results/sweep.json are left as they are; others that are already trained are only measured (`--again`: all). The most informative
settings come first, so that whatever is finished makes a table: first k, then n_nontopk and annealing, then the rest.

The rule that selects a setting (`best` in the result): among those that lose at most `WITHIN` % against the dense proxy, the
one with the lowest median token entropy; if there is none, the one that saves the most bits of median token entropy against dense per
% of loss. One seed each: differences of a few tenths of a % are noise.
"""

import tomllib
from pathlib import Path

from topklm import stats
from topklm.train import Trainer

from . import common, meaning

BASE = Path(__file__).parents[1] / "configs" / "proxy.toml"
WITHIN = 2.0


def settings() -> dict[str, dict]:
    """Name -> the keys that differ from the base; None: the dense base. In the order in which they are run."""
    return {
        "dense": None,
        "k32": {"model": {"topk_k": 32}},
        "k64": {"model": {"topk_k": 64}},
        "k16": {"model": {"topk_k": 16}},
        "k32-nontopk0": {"model": {"topk_k": 32, "n_nontopk": 0}},
        "k32-anneal": {"model": {"topk_k": 32}, "train": {"anneal": [[0.1, 128], [0.2, 64]]}},
        "k32-nontopk2": {"model": {"topk_k": 32, "n_nontopk": 2}},
        "k8": {"model": {"topk_k": 8}},
        "k32-abs": {"model": {"topk_k": 32, "topk_select": "abs"}},
        "k32-relu": {"model": {"topk_k": 32, "topk_post": "relu"}},
    }


def compare(found: dict) -> dict:
    """The settings in their order, each with `gap_percent` (loss over the dense proxy's), `bits_saved` and `bits_per_percent`
    (of median token entropy, for 1 % of loss; none where the loss is not above dense)."""
    dense = found.get("dense")
    ordered = {name: dict(found[name]) for name in [*settings(), *found] if name in found}
    for entry in ordered.values() if dense else ():
        ours, theirs = (e["loss"]["validation"]["nats_per_token"] for e in (entry, dense))
        entry["gap_percent"] = 100 * (ours / theirs - 1)
        ours, theirs = (e["token_entropy_median"] for e in (entry, dense))
        entry["bits_saved"] = None if ours is None or theirs is None else theirs - ours
        saved = entry["bits_saved"] is not None and entry["gap_percent"] > 0
        entry["bits_per_percent"] = entry["bits_saved"] / entry["gap_percent"] if saved else None
    return ordered


def best(found: dict) -> str | None:
    """The name of the best setting by the rule above, among TopK settings; None if there are not two to choose from."""
    cut = {name: e for name, e in found.items() if name != "dense" and e.get("bits_saved") is not None}
    if len(cut) < 2:
        return None
    near = [name for name, e in cut.items() if e["gap_percent"] <= WITHIN]
    if near:
        return min(near, key=lambda name: cut[name]["token_entropy_median"])
    return max(cut, key=lambda name: cut[name]["bits_per_percent"])


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
    """Loss and token entropy of a finished run. The ends are those of meaning.COMPARED_END; where neurons are selected by magnitude both
    of theirs count too."""
    c, model = trainer.model_config, trainer.model.eval()
    blocks = c.cut_blocks
    tops = meaning.collect(model, meaning.held_out_documents(data, positions), blocks)
    two_ends = meaning.COMPARED_END["dense" if c.topk_k is None else "topk"] == "better_tail" or c.topk_select == "abs"
    tables = [stats.better_tail(tops[b][0].table(), tops[b][1].table()) if two_ends else tops[b][0].table() for b in blocks]
    figures = meaning.summary(meaning.joined([{k: t[k] for k in tables[0]} for t in tables]))
    return {
        "k": c.topk_k,
        "n_nontopk": c.n_nontopk if c.topk_k else None,
        "select": c.topk_select if c.topk_k else None,
        "post": c.topk_post if c.topk_k else None,
        "annealed": bool(trainer.c.anneal),
        "loss": trainer.evaluate(),
        "token_entropy_median": figures["token_entropy"].get("median"),
        "share_under_2_bits": figures["token_entropy"]["share_under_2_bits"],
        "token_entropy_by_block": [meaning.summary(t)["token_entropy"].get("median") for t in tables],
        "dead": figures["dead"],
        "seconds_of_training": trainer.seconds,
    }


def main():
    p = common.parser(__doc__)
    p.add_argument("--out", type=Path, required=True, help="folder for the runs")
    p.add_argument("--base", type=Path, default=BASE, help="the proxy's config")
    p.add_argument("--only", nargs="*", help="only these settings")
    p.add_argument("--again", action="store_true", help="measure settings again that the result holds (trains them where their run is gone)")
    p.add_argument("--positions", type=int, default=100_000, help="held-out tokens for the entropies")
    args = p.parse_args()
    common.start(args)
    base = tomllib.loads(args.base.read_text())
    result = common.read(args.results, "sweep")
    result["proxy"] = {"config": args.base.name} | base["model"] | {"tokens": base["train"]["tokens"]}
    done = result.setdefault("settings", {})
    for name, changes in settings().items():
        if args.only and name not in args.only or name in done and not args.again:
            continue
        trainer = train(name, changes, base, args.data, args.out)
        done[name] = measure(trainer, args.data, args.positions)
        done = result["settings"] = compare(done)
        common.write(args.results, "sweep", result | {"rule": {"within_percent": WITHIN}, "best": best(done)})
        print(name, done[name], flush=True)
    result["settings"] = compare(done)
    common.write(args.results, "sweep", result | {"rule": {"within_percent": WITHIN}, "best": best(result["settings"])})


if __name__ == "__main__":
    common.run(main)
