"""How readable one coordinate is: token, semantic and next-token entropy of TopK neurons, dense coordinates and SAE features.

    python -m claims.meaning [--text WRITING.jsonl … | --data DATA] [--sae DIR] [--limit TOKENS]

All three over the same text, by the definitions of docs/statistics.md (topklm/stats.py). Everything is measured by its highest values
(`upper_tail`, as the site shows neurons) and by the better of its two tails (`better_tail`). The tables use the upper tail for
neurons and features, the better one for dense coordinates. If MODELS/…/features/index.json was made over the same text, the numbers must agree.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from topklm import stats

from . import common

LOW_BITS = 2.0
# The end by which the tables and findings compare each kind. A neuron is hardly ever negative, and the few odd tokens at which it is
# would look narrow.
COMPARED_END = {"topk": "upper_tail", "dense": "better_tail", "sae": "upper_tail"}


def read_documents(paths: list[Path], limit: int) -> tuple[list[list[int]], bool]:
    """(documents of .jsonl files with {"ids": […]} lines up to about `limit` tokens, whether that is all of them)."""
    documents, tokens = [], 0
    for path in paths:
        with open(path) as file:
            for number, line in enumerate(file, 1):
                if tokens >= limit:
                    return documents, False
                ids = json.loads(line).get("ids")
                if ids is None:
                    raise ValueError(f'{path}, line {number}: has no "ids"')
                documents.append(ids)
                tokens += len(ids)
    return documents, True


def held_out_documents(data: Path, limit: int) -> list[list[int]]:
    """The held-out documents from the front up to `limit` tokens. They lie there source after source, so a limit below all of them leaves out the
    last sources; the README says which figures have one."""
    arrays = common.texts(data)
    ids, starts = arrays["held_out.ids"], arrays["held_out.starts"]
    return [ids[a:b].tolist() for a, b in zip(starts[:-1], starts[1:], strict=True) if b <= limit]


def batches(documents, n_ctx, size=32):
    """(ids [B, T], counted [B, T], following [B, T]): documents truncated to n_ctx, padded. Counted: not position 0, not special;
    following: the next id, −1 after the last."""
    for at in range(0, len(documents), size):
        part = [d[:n_ctx] for d in documents[at : at + size]]
        width = max(map(len, part))
        ids, counted = np.zeros((len(part), width), dtype=np.int64), np.zeros((len(part), width), dtype=bool)
        following = np.full((len(part), width), -1)
        for row, d in enumerate(part):
            ids[row, : len(d)] = d
            counted[row, 1 : len(d)] = np.array(d[1:]) != 0
            following[row, : len(d) - 1] = d[1:]
        yield torch.as_tensor(ids), torch.as_tensor(counted), torch.as_tensor(following)


@torch.no_grad()
def collect(model, documents, blocks, sae=None, tails=2):
    """{layer: (upper Top, lower Top)} of the coordinates after each of `blocks`, under "sae" the features' if there is one;
    with one tail the lower stays empty."""
    d = model.config.d_model
    tops = {layer: (stats.Top(d), stats.Top(d)) for layer in blocks}
    if sae is not None:
        tops["sae"] = (stats.Top(len(sae.decoder)), stats.Top(len(sae.decoder)))
    for ids, counted, following in batches(documents, model.config.n_ctx):
        streams = model.stream(ids)
        both = torch.stack([ids, following], dim=-1)[counted]
        for layer, (upper, lower) in tops.items():
            x = sae.encode(streams[sae.layer][counted]) if layer == "sae" else streams[layer][counted]
            upper.add(x, both)
            if tails == 2:
                lower.add(torch.where(x < 0, -x, 0.0), both)
    return tops


def summary(columns: dict) -> dict:
    """Quartiles over the neurons that are not rare, the share of them under 2 bits, dead and rare shares of all."""
    n = columns["n"]
    usable = n >= stats.RARE_BELOW
    out = {"neurons": len(n), "dead": float((n == 0).mean()), "rare": float(((n > 0) & ~usable).mean())}
    for name in ("token_entropy", "semantic_entropy", "next_entropy"):
        values = columns[name]
        if values is None:
            out[name] = None
            continue
        v = values[usable]
        out[name] = common.quartiles(v) | {"share_under_2_bits": float((v < LOW_BITS).mean()) if len(v) else None}
    return out


def joined(parts: list[dict]) -> dict:
    return {k: None if parts[0][k] is None else np.concatenate([p[k] for p in parts]) for k in parts[0]}


def describe(tops, keys, clusters) -> dict:
    """Summaries by layer and over all `keys`, for the upper tail alone and for the better one."""
    upper = {key: tops[key][0].table(clusters) for key in keys}
    better = {key: stats.better_tail(upper[key], tops[key][1].table(clusters)) for key in keys}
    return {
        name: {"all": summary(joined(list(tables.values()))), "layers": {str(k): summary(t) for k, t in tables.items()}}
        for name, tables in (("upper_tail", upper), ("better_tail", better))
    }


def agreement(path: Path, tops, blocks, text_sha: str | None, whole: bool) -> dict | None:
    """How the command's index.json and our numbers differ; only over the same whole text do they have to agree."""
    if not path.exists():
        return None
    index = json.loads(path.read_text())
    theirs = index["columns"]
    same_text = whole and text_sha is not None and index["corpus"].get("sha256") == text_sha
    out = {"same_text": same_text}
    for name in ("token_entropy", "next_entropy", "density"):
        ours = np.concatenate([tops[layer][0].table()[name] for layer in blocks])
        given = np.array([np.nan if v is None else v for v in theirs[name]], dtype=float)
        both = np.isfinite(ours) & np.isfinite(given)
        gap = np.abs(ours - given)[both]
        out[name] = {"compared": int(both.sum()), "median_gap": float(np.median(gap)), "largest_gap": float(gap.max())}
        out[name]["correlation"] = float(np.corrcoef(ours[both], given[both])[0, 1])
    return out


def main():
    p = common.parser(__doc__, data=False)
    p.add_argument("--data", type=Path, help="the folder that topklm.data wrote (checkpoints; held-out text instead of --text)")
    p.add_argument("--text", type=Path, nargs="+", help="documents as JSON lines of ids, our models' own writing")
    p.add_argument("--sae", type=Path, help="the folder that claims.sae wrote")
    p.add_argument("--index", type=Path, help="index.json of topk-lm analyze to compare with, instead of the model's own")
    p.add_argument("--limit", type=int, default=1_000_000, help="about so many tokens of the text")
    p.add_argument("--only", choices=["topk", "dense"], help="run one model's part again; the other's is kept")
    args = p.parse_args()
    if args.text is None and args.data is None:
        p.error("a text is needed: --text FILE.jsonl, or --data DATA for the held-out documents")
    common.start(args)
    clock = common.Clock()
    topk, dense = common.subjects(args, args.data)
    if args.text is None:
        common.same_tokens(topk, args.data)
    if args.text:
        documents, whole = read_documents(args.text, args.limit)
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in args.text)).hexdigest()
    else:
        documents, whole, digest = held_out_documents(args.data, args.limit), False, None
    cluster_file = (args.topk or args.models / common.TOPK) / "features" / "clusters.json"
    clusters = np.array(json.loads(cluster_file.read_text())["cluster"]) if cluster_file.exists() else None
    result = common.read(args.results, "meaning") if args.only else {}
    result["text"] = {
        "what": " + ".join(path.name for path in args.text) if args.text else "held-out documents",
        "documents": len(documents),
        "tokens": sum(map(len, documents)),
        "sha256": digest,
    }
    result |= {"entropy": {"n": stats.N, "rare_below": stats.RARE_BELOW}, "clusters": clusters is not None}
    blocks = topk.cut_blocks
    if args.only != "dense":
        tops = collect(topk.model, documents, blocks)
        result["topk"] = {"model": topk.about} | describe(tops, blocks, clusters)
        index = args.index or (args.topk or args.models / common.TOPK) / "features" / "index.json"
        result["topk"]["against_the_command"] = agreement(index, tops, blocks, digest, whole)
    if dense is not None and args.only != "topk":
        from .sae import SAE

        sae = SAE.load(args.sae) if args.sae else None
        tops = collect(dense.model, documents, blocks, sae)
        result["dense"] = {"model": dense.about} | describe(tops, blocks, clusters)
        if sae is not None:
            result["sae"] = {"layer": sae.layer} | describe(tops, ["sae"], clusters)
    result["seconds"] = clock()
    common.write(args.results, "meaning", result)


if __name__ == "__main__":
    common.run(main)
