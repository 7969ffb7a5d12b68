"""Steering by one neuron: 20 concepts; a stated rule finds the edit on prompts other than those of the score.

    python -m claims.steer --method topk|dense|sae --data DATA [--stage choose|score|all] [--sae DIR]

concepts.toml holds concepts, prompts, bounds and the rule of the search; it was committed before the first scored run.
topk: neurons of the TopK blocks. dense: coordinates of the dense twin after the same blocks, both signs. sae: decoder rows
added to the twin's stream. The dense twin judges the likelihood, or the unsteered model while there is no twin.
"""

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from topklm.data import evaluation_windows

from . import common, decode, effect

CONFIG = Path(__file__).with_name("concepts.toml")


class Bench:
    """Texts with and without edits, and what is counted in them."""

    def __init__(self, subject, judge, handles, config):
        self.subject, self.judge, self.handles, self.config = subject, judge, handles, config
        self.patterns = [re.compile(rf"\b(?:{'|'.join(c['words'])})\b", re.IGNORECASE) for c in config["concept"]]
        self.words = [effect.token_ids(subject.tokenizer, c["words"]) for c in config["concept"]]
        self.watch = torch.zeros(subject.model.config.d_vocab, len(self.words))
        for i, ids in enumerate(self.words):
            self.watch[ids, i] = 1
        self.base = {}

    def _texts(self, prompts, seeds, tokens, edits=None):
        h, temperature = self.handles, self.config["bounds"]["temperature"]
        return decode.generate(
            self.subject.model, prompts, seeds, tokens, temperature, edits, h.blocks, h.directions, watch=self.watch
        )

    def _count(self, ids, concept):
        return len(self.patterns[concept].findall(self.subject.tokenizer.decode(ids)))

    def run(self, trials, prompts, seeds, tokens):
        """trials [(concept, edit)], each over all (prompt, seed) pairs given as two equal lists of ids and seeds. A trial's
        result: counts of the concept's words a text, without (`base`) and with the edit, the counts that were to be
        expected (tokens' probabilities summed over the steps), and the ratio of mean NLLs."""
        key = (str(prompts), str(seeds), tokens)
        if key not in self.base:
            texts, expected = self._texts(prompts, seeds, tokens)
            nats, counts = decode.nll(self.judge.model, prompts, texts)
            self.base[key] = texts, expected, nats.sum() / counts.sum()
        base, base_expected, base_nll = self.base[key]
        n = len(prompts)
        rows = [edit for _, edit in trials for _ in range(n)]
        texts, expected = self._texts(prompts * len(trials), seeds * len(trials), tokens, rows)
        nats, counts = decode.nll(self.judge.model, prompts * len(trials), texts)
        results = []
        for i, (concept, edit) in enumerate(trials):
            mine = slice(i * n, (i + 1) * n)
            results.append(
                {
                    "concept": concept,
                    "edit": edit,
                    "base": np.array([self._count(t, concept) for t in base]),
                    "steered": np.array([self._count(t, concept) for t in texts[mine]]),
                    "expected": (base_expected[:, concept], expected[mine, concept]),
                    "nll": nats[mine].sum() / max(counts[mine].sum(), 1),
                    "text_nll": nats[mine] / np.maximum(counts[mine], 1),
                    "base_nll": base_nll,
                    "nll_ratio": nats[mine].sum() / max(counts[mine].sum(), 1) / base_nll,
                    "texts": texts[mine],
                }
            )
        return results


def gains(result):
    return (result["steered"] + 1) / (result["base"] + 1)


def utility(result, search, margin):
    """How good an edit is in a round of the search where the NLL ratio should stay below `margin` (None: no bound)."""
    base, steered = result["expected"]
    gain = np.minimum(np.log((steered + 1) / (base + 1)) / np.log(5), 1.5).mean()
    return gain if margin is None else gain - search["penalty"] * max(0.0, result["nll_ratio"] - margin)


def first_edits(handles, short, limits, search):
    """Every short-listed handle with every share of its strength at the limit, and every propagation."""
    action = "clamp" if handles.directions is None else "add"
    for handle in short:
        for propagate, shares in search["strengths"].items():
            for share in shares:
                yield handles.edit(handle, share * limits[handle], action=action, propagate=propagate)


def variants(edit, has_cut):
    """The edit, and the same with other positions, and (for neurons of a TopK block) before TopK."""
    yield edit
    yield replace(edit, positions="generated")
    if has_cut and edit.action == "clamp":
        yield replace(edit, site="topk_in")


def margins(search):
    """The picks and the NLL ratio that each may reach."""
    return {"bounded": search["margin"], "middle": search["middle_margin"], "free": None}


def best(results, search, keep):
    """One concept's best results for the next round: `keep` of a pick each, none twice."""
    out = []
    for kind, margin in margins(search).items():
        rest = sorted((r for r in results if not any(r is o for o in out)), key=lambda r: -utility(r, search, margin))
        out += rest[: keep[kind]]
    return out


def choose(bench, windows, say=print):
    """The picks of every concept: {"bounded", "middle", "free": edits, and their figures on the choosing prompts}."""
    config, search, subject, handles = bench.config, bench.config["search"], bench.subject, bench.handles
    prompts = [subject.tokenizer.encode(p).ids for p in config["prompts"]["choosing"]]
    words = bench.words
    ids = effect.contexts(
        subject.model, prompts[: search["effect_prompts"]], search["effect_length"], config["bounds"]["temperature"]
    )
    base, _ = effect.effects(subject.model, handles, ids, words, strength=0)
    found = [effect.effects(subject.model, handles, ids, words, s) for s in search["effect_strengths"]]
    log_mass, divergence = (np.stack(column) for column in zip(*found, strict=True))
    limits, reached = effect.at_limit(search["effect_strengths"], log_mass, divergence, base, search["divergence"])
    trials = []
    for i in range(len(words)):
        short = effect.short_list(handles, reached[i], search["short_list"])
        trials += [(i, edit) for edit in first_edits(handles, short, limits, search)]
    has_cut = subject.model.config.topk_k is not None
    for number, rules in enumerate(search["round"]):
        rows = [(p, 500_000 + 1000 * number + i) for i in range(rules["texts"]) for p in [prompts[i % len(prompts)]]]
        say(f"round {number + 1}: {len(trials)} edits × {len(rows)} texts", flush=True)
        results = bench.run(trials, *map(list, zip(*rows, strict=True)), rules["tokens"])
        by_concept = [[r for r in results if r["concept"] == i] for i in range(len(words))]
        if number + 1 == len(search["round"]):
            return [pick(mine, config) for mine in by_concept]
        keep = search["round"][number + 1]["keep"]
        trials = [(i, r["edit"]) for i, mine in enumerate(by_concept) for r in best(mine, search, keep)]
        if number == 0:
            trials = [(i, v) for i, edit in trials for v in variants(edit, has_cut)]
        trials = list(dict.fromkeys(trials))
    raise ValueError("concepts.toml: search.round must list at least one round")


def pick(results, config):
    """For each kind of pick the edit with the largest share of successful texts among those within its margin; where none
    is, the one of best utility."""
    search, success = config["search"], config["bounds"]["success"]
    chosen, figures = {}, {}
    for kind, margin in margins(search).items():
        within = [r for r in results if margin is None or r["nll_ratio"] <= margin]
        key = {id(r): (float((gains(r) >= success).mean()), utility(r, search, margin)) for r in results}
        r = max(within, key=lambda r: key[id(r)]) if within else max(results, key=lambda r: key[id(r)][1])
        chosen[kind] = r["edit"].table()
        figures[kind] = {"success": key[id(r)][0], "nll_ratio": r["nll_ratio"]}
    return chosen | {"on_choosing_prompts": figures}


def score(bench, chosen):
    """The picks on the scoring prompts."""
    config, bounds = bench.config, bench.config["bounds"]
    encode = bench.subject.tokenizer.encode
    rows = [(encode(p).ids, 1000 * i + s) for i, p in enumerate(config["prompts"]["scoring"]) for s in range(bounds["seeds"])]
    kinds = margins(config["search"])
    trials = {(i, decode.Edit(**c[kind])): None for kind in kinds for i, c in enumerate(chosen)}
    results = bench.run(list(trials), *map(list, zip(*rows, strict=True)), bounds["max_tokens"])
    of = dict(zip(trials, results, strict=True))
    table = []
    for i, c in enumerate(chosen):
        entry = {"concept": config["concept"][i]["name"]}
        for kind in kinds:
            r = of[i, decode.Edit(**c[kind])]
            share = float((gains(r) >= bounds["success"]).mean())
            relaxed = float((gains(r) >= bounds["relaxed_success"]).mean())
            entry[kind] = {
                "edit": c[kind],
                "base": r["base"].mean(),
                "steered": r["steered"].mean(),
                "success": share,
                "relaxed_success": relaxed,
                "nll": r["nll"],
                "base_nll": r["base_nll"],
                "nll_ratio": r["nll_ratio"],
                "works": bool(share >= bounds["works"] and r["nll_ratio"] <= bounds["likelihood"]),
                "works_relaxed": bool(relaxed >= bounds["works"] and r["nll_ratio"] <= bounds["likelihood"]),
                "works_without_likelihood": bool(share >= bounds["works"]),
                "sample": bench.subject.tokenizer.decode([*rows[0][0], *r["texts"][0]]),
            }
        entry["on_choosing_prompts"] = c["on_choosing_prompts"]
        table.append(entry)
    n = len(table)
    return {
        "base_nll": results[0]["base_nll"],
        "works": sum(e["bounded"]["works"] for e in table) / n,
        "works_relaxed": sum(e["bounded"]["works_relaxed"] for e in table) / n,
        "works_with_middle_margin": sum(
            e["middle"]["works_without_likelihood"] and e["middle"]["nll_ratio"] <= config["search"]["middle_margin"] for e in table
        )
        / n,
        "works_without_likelihood": sum(e["free"]["works_without_likelihood"] for e in table) / n,
        "concepts": table,
    }


def handles_of(method, subject, windows, blocks, sae_file):
    if method == "sae":
        from .sae import SAE

        sae = SAE.load(sae_file)
        top = sae.largest(subject.model, windows)
        live = np.flatnonzero(top > 0)
        layer = np.full(len(live), sae.layer)
        return effect.Handles(method, blocks, layer, live, top[live], sae.directions())
    return effect.coordinate_handles(method, subject.model, windows, blocks, both_tails=method == "dense")


def main():
    p = common.parser(__doc__)
    p.add_argument("--method", choices=["topk", "dense", "sae"], default="topk")
    p.add_argument("--stage", choices=["choose", "score", "all"], default="all")
    p.add_argument("--sae", type=Path, help="the folder that claims.sae wrote")
    p.add_argument("--concepts", nargs="*", help="only these (a trial run)")
    p.add_argument("--windows", type=int, default=200, help="windows of held-out text for the largest activations")
    args = p.parse_args()
    if args.method == "sae" and args.sae is None:
        p.error("--method sae needs --sae DIR")
    common.start(args)
    clock, config = common.Clock(), tomllib.loads(CONFIG.read_text())
    if args.concepts:
        config["concept"] = [c for c in config["concept"] if c["name"] in args.concepts]
    topk, dense = common.subjects(args, args.data)
    common.same_tokens(topk, args.data)
    if args.method != "topk" and dense is None:
        p.error(f"--method {args.method} needs the dense twin")
    subject, judge = topk if args.method == "topk" else dense, dense or topk
    arrays = common.texts(args.data)
    windows = evaluation_windows(arrays["held_out.ids"], subject.model.config.n_ctx, arrays["held_out.starts"])
    windows = torch.as_tensor(windows[:: max(1, len(windows) // args.windows), 0])

    def store(**part):
        """Adds to the method's part of the file as it is now: another method may have been stored in the meantime. New picks
        take the place of all that was there."""
        result = common.read(args.results, "steering")
        method = ({} if "chosen" in part else result.get(args.method, {})) | part
        common.write(args.results, "steering", result | {"bounds": config["bounds"], "search": config["search"], args.method: method})

    with torch.autocast("cpu", torch.bfloat16):  # the search alone; the score is f32
        handles = handles_of(args.method, subject, windows, topk.cut_blocks, args.sae)
        bench = Bench(subject, judge, handles, config)
        if args.stage != "score":
            chosen = choose(bench, windows)
            store(model=subject.about, chosen_with=judge.about, chosen=chosen, choose_seconds=clock())
    if args.stage != "choose":
        bench.base.clear()
        method = common.read(args.results, "steering").get(args.method, {})
        if "chosen" not in method:
            p.error(f"results/steering.json holds no picks of {args.method}: run --stage choose first")
        if method["model"]["sha256"] != subject.about["sha256"]:
            p.error("the picks in results/steering.json were made with other weights: run --stage all")
        store(judge=judge.about, score=score(bench, method["chosen"]), seconds=clock())


if __name__ == "__main__":
    common.run(main)
