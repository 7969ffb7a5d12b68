"""Tracing without a TopK model: one SAE for each of several checkpoints of the dense twin, with features matched to the final SAE's.

    python -m claims.sae_trace --data DATA [--run DENSE-RUN --topk-run TOPK-RUN] [--steps 312 928 1600] [--layer 2] [--positions 400000]

Beside them, the TopK neurons of the same block at the same steps, which need no matching: neuron i is neuron i. The text, the
distributions (token types at the 100 highest activations) and the bound (Jensen–Shannon distance ≤ 0.5) are those of `topk-lm analyze`.
The SAEs are as alike as possible: same text, same seed, same first decoder. A final feature is matched in four ways. `cosine`:
to the feature of an earlier SAE with the nearest decoder row. `chain`: the same from checkpoint to checkpoint. `tokens`: to the one with
the nearest distribution, whatever its direction (the most that any matching could give). `index`: no matching. Features stay near
the decoder that they started from (`cosine_to_first_decoder`), so the common start explains much of what `cosine` and `index` find;
`another_seed` is the same comparison between two SAEs of the final weights that started differently.
"""

from pathlib import Path

import numpy as np
import torch

from topklm import stats
from topklm.data import Packed, evaluation_windows

from . import common, meaning, sae


def trail(run: Path | None, folder: Path) -> list[tuple[int, Path]]:
    """(step, path) of every checkpoint of a run, or else of a model's folder, ascending; the last is the final model."""
    if run:
        found = sorted((int(p.stem.removeprefix("step")), p) for p in (run / "checkpoints").glob("step*.safetensors"))
        if not found:
            raise FileNotFoundError(f"{run / 'checkpoints'} holds no step*.safetensors")
        return found
    steps = sorted((int(p.name.removeprefix("step")), p) for p in folder.glob("step*") if p.is_dir())
    final = common.subject(folder).about["training_step"]
    return [s for s in steps if s[0] != final] + [(final if final is not None else 0, folder)]


def tokens_of(subject, documents, blocks):
    """[layer][index] -> {token: count} at the top positions; also the number of positions a neuron's distribution rests on."""
    tops = meaning.collect(subject.model, documents, blocks, tails=1)
    distributions = [[tops[b][0].tokens(i) for i in range(subject.model.config.d_model)] for b in blocks]
    return distributions, np.array([[sum(c.values()) for c in row] for row in distributions])


def chosen(trail: list[tuple[int, Path]], steps: list[int], argument: str) -> list[tuple[int, Path]]:
    """The checkpoints of these steps and the last one, ascending; an error names a step that is not there and the argument that gives others."""
    of = dict(trail)
    absent = [str(step) for step in steps if step not in of]
    if absent:
        raise ValueError(f"no checkpoint of step {', '.join(absent)}; there are {', '.join(map(str, of))}: take other --steps, or another run's folder with {argument}")
    return [(step, of[step]) for step in sorted({*steps, trail[-1][0]})]


def distances(rows: list[dict], others: list[dict]) -> np.ndarray:
    """stats.js_distance of every distribution of `rows` to every one of `others`, [len(rows), len(others)]."""
    column = {token: i for i, token in enumerate(sorted({t for d in (*rows, *others) for t in d}))}
    dense = np.zeros((len(others), max(1, len(column))))
    for i, d in enumerate(others):
        for token, count in d.items():
            dense[i, column[token]] = count
    total = dense.sum(1, keepdims=True)
    dense /= np.maximum(total, 1)
    result = np.ones((len(rows), len(others)))
    for i, d in enumerate(rows):
        if not d:
            result[i] = total[:, 0] != 0
            continue
        p = np.array(list(d.values()), dtype=float) / sum(d.values())
        q = dense[:, [column[token] for token in d]]
        # Disjoint distributions are at divergence 1; what they share takes off what it would have cost.
        shared = np.where(q > 0, q, 1.0)
        cost = (p * np.log2(2 * p / (p + shared)) + shared * np.log2(2 * shared / (p + shared))) / 2
        saved = np.where(q > 0, (p + shared) / 2 - cost, 0.0).sum(1)
        result[i] = np.sqrt(np.clip(1 - saved, 0, 1))
    return result


def feature_tokens(model, autoencoder, documents) -> list[dict]:
    top = meaning.collect(model, documents, [], autoencoder, tails=1)["sae"][0]
    return [top.tokens(i) for i in range(len(autoencoder.decoder))]


def shares(per_step: np.ndarray, usable: np.ndarray) -> dict:
    """Of distances [steps, features] to the final distributions: who is within the bound at a step, and from it on."""
    d = per_step[:, usable]
    first = stats.emergence(d, stats.EMERGENCE_JS)
    within = [float((row <= stats.EMERGENCE_JS).mean()) for row in d]
    emerged = [float((first <= s).mean()) for s in range(len(d))]
    return {"within": within, "emerged": emerged, "median_js": [float(np.median(row)) for row in d]}


def matched(decoders: list[torch.Tensor], tokens: list[list[dict]]) -> dict:
    """Everything about the features of SAEs at ascending steps against the last one's; decoders [F, d] of unit rows."""
    final, last = decoders[-1], tokens[-1]
    usable = np.array([sum(d.values()) for d in last]) >= stats.RARE_BELOW
    each = np.arange(len(last))
    cosines = [(final @ d.T).numpy(force=True) for d in decoders]
    every = [distances(last, t) for t in tokens]
    chain = [each]
    for later, earlier in zip(decoders[:0:-1], decoders[-2::-1], strict=True):
        following = (later @ earlier.T).argmax(1).numpy(force=True)
        chain.insert(0, following[chain[0]])
    random = common.normal(final.shape, 0)
    random = random / random.norm(dim=1, keepdim=True)
    ways = {
        "cosine": [c.argmax(1) for c in cosines],
        "chain": chain,
        "tokens": [d.argmin(1) for d in every],
        "index": [each] * len(decoders),
    }
    by = {way: shares(np.array([d[each, m] for d, m in zip(every, match, strict=True)]), usable) for way, match in ways.items()}
    return {
        "features": len(last),
        "usable_features": int(usable.sum()),
        "mean_max_cosine": [float(c.max(1)[usable].mean()) for c in cosines],
        "mean_max_cosine_of_random_directions": float((final @ random.T).max(1).values.numpy(force=True)[usable].mean()),
        "matched_to_own_index": [float((c.argmax(1) == each)[usable].mean()) for c in cosines],
        "by": by,
    }


def between(rows, others, row_tokens, other_tokens) -> dict:
    """Two SAEs of the same weights: how far the features of one are found in the other."""
    two = matched([others, rows], [other_tokens, row_tokens])
    return {"mean_max_cosine": two["mean_max_cosine"][0]} | {f"within_by_{w}": two["by"][w]["within"][0] for w in ("cosine", "tokens")}


def same_index(steps, data, documents, layer) -> tuple[dict, dict]:
    """(about the final model, shares of the coordinates after `layer` whose same index is within the bound)."""
    tokens = []
    for _, path in steps:
        subject = common.subject(path, data)
        tokens.append(tokens_of(subject, documents, [layer])[0][0])
    last = tokens[-1]
    usable = np.array([sum(d.values()) for d in last]) >= stats.RARE_BELOW
    per_step = np.array([[stats.js_distance(a, b) for a, b in zip(now, last, strict=True)] for now in tokens])
    return subject.about, {"usable": int(usable.sum())} | shares(per_step, usable)


def main():
    p = common.parser(__doc__)
    p.add_argument("--run", type=Path, help="the dense twin's run folder instead of its model folder's step{N}/")
    p.add_argument("--topk-run", type=Path, help="the TopK model's run folder instead of its model folder's step{N}/")
    p.add_argument("--steps", type=int, nargs="+", default=[312, 928, 1600], help="and the last one")
    p.add_argument("--layer", type=int, default=2)
    p.add_argument("--positions", type=int, default=400_000, help="positions that each SAE is trained on")
    p.add_argument("--text-positions", type=int, default=25_000, help="tokens of the held-out text of the distributions")
    p.add_argument("--windows", type=int, default=40, help="held-out windows for the variance explained")
    args = p.parse_args()
    common.start(args)
    clock = common.Clock()
    twin, ours = args.dense or args.models / common.DENSE, args.topk or args.models / common.TOPK
    try:
        steps = chosen(trail(args.run, twin), args.steps, "--run")
        topk_steps = chosen(trail(args.topk_run, ours), args.steps, "--topk-run")
    except (FileNotFoundError, ValueError) as problem:
        p.error(str(problem))
    documents = meaning.held_out_documents(args.data, args.text_positions)
    final = [common.subject(of[-1][1], args.data) for of in (steps, topk_steps)]
    for one in final:
        common.same_tokens(one, args.data)
    k = final[1].model.config.topk_k
    arrays = common.texts(args.data)
    decoders, tokens, variance = [], [], []
    for step, path in steps:
        model = common.subject(path, args.data).model
        c = model.config
        one = sae.train(model, Packed(args.data, c.n_ctx, seed=2), args.layer, k, c.d_model, args.positions)
        windows = evaluation_windows(arrays["held_out.ids"], c.n_ctx, arrays["held_out.starts"])
        figures = sae.measure(model, one, windows[:: max(1, len(windows) // args.windows)])
        decoders.append(one.directions())
        tokens.append(feature_tokens(model, one, documents))
        variance.append(figures["variance_explained"])
        print(f"step {step}: variance explained {variance[-1]:.3f}  {clock()} s", flush=True)
    first = sae.SAE(c.d_model, c.d_model, k, args.layer).directions()
    other = sae.train(model, Packed(args.data, c.n_ctx, seed=2), args.layer, k, c.d_model, args.positions, seed=2)
    control = {
        "cosine_to_first_decoder": float((decoders[-1] * first).sum(1).mean()),
        "another_seed": between(decoders[-1], other.directions(), tokens[-1], feature_tokens(model, other, documents)),
    }
    about, dense = same_index(steps, args.data, documents, args.layer)
    topk_about, neurons = same_index(topk_steps, args.data, documents, args.layer)
    features = {"model": about, "k": k, "trained_positions": args.positions, "variance_explained": variance}
    result = {
        "text": {"what": "held-out documents", "tokens": sum(map(len, documents)), "documents": len(documents)},
        "js_bound": stats.EMERGENCE_JS,
        "layer": args.layer,
        "steps": [step for step, _ in steps],
        "sae_features": features | matched(decoders, tokens) | control,
        "dense_coordinates": {"model": about} | dense,
        "topk_steps": [step for step, _ in topk_steps],
        "topk_neurons": {"model": topk_about} | neurons,
        "seconds": clock(),
    }
    common.write(args.results, "sae_trace", result)


if __name__ == "__main__":
    common.run(main)
