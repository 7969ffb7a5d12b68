"""Loss and sample quality: bits per byte, the loss gap of TopK to its dense twin, the cost of 8-bit checkpoints, 50 unpicked stories.

    python -m claims.quality --data DATA [--models DIR] [--also DIR …] [--test] [--only PART]

Bits per byte: every token of the text is a target once, in windows of n_ctx (topklm.data.evaluation_windows), in f32. A model with
another tokenizer (--also) is measured on the same bytes, and only on the validation file (its training data may include the
held-out texts). The models may be f16 exports; `--only shipped` then measures what was made of them, the files in MODELS as they are stored, on the
validation and held-out texts, and keeps the rest. Stories: quality.toml. `--test` reads the test stories too, by which nothing may be chosen: once, when the models are finished.
"""

import copy
import re
import tomllib
from collections import Counter
from pathlib import Path

import numpy as np

from topklm.data import evaluation_windows
from topklm.export import stored_as, to_8bit
from topklm.train import evaluate

from . import common, decode

CONFIG = Path(__file__).with_name("quality.toml")


def text_of(ids, tokenizer) -> str:
    return tokenizer.decode(list(map(int, ids)), skip_special_tokens=False)


def bits_per_byte(subject, arrays, owner, which, limit=None) -> dict:
    """Loss of one text. `owner` is the tokenizer that made the arrays; another tokenizer re-encodes the same bytes."""
    ids, starts = arrays[f"{which}.ids"], arrays.get(f"{which}.starts")
    if limit:
        ids, starts = ids[:limit], None if starts is None else starts[starts <= limit]
    documents = [ids] if starts is None else [ids[a + 1 : b] for a, b in zip(starts[:-1], starts[1:], strict=True)]
    strings = [text_of(d, owner) for d in documents]
    n_bytes = sum(len(s.encode()) for s in strings)
    if subject.tokenizer.to_str() != owner.to_str():
        encoded = [subject.tokenizer.encode(s, add_special_tokens=False).ids for s in strings]
        ids = np.array([i for e in encoded for i in ([0] if starts is not None else []) + e])
        starts = None if starts is None else np.cumsum([0] + [len(e) + 1 for e in encoded])
    nats, tokens = evaluate(subject.model, evaluation_windows(ids, subject.model.config.n_ctx, starts), batch=16)
    return {"nats_per_token": nats / tokens, "bits_per_byte": nats / np.log(2) / n_bytes, "tokens": tokens, "bytes": n_bytes}


def in_8bit(subject):
    """The same model with its matrices rounded to 8 bits and a scale a row, as the shipped files are; of one stored in 8 bits it is the same."""
    tied = subject.model.config.tied  # then the head is the embedding
    tensors = {name: p for name, p in subject.model.state_dict().items() if not (tied and name == "lm_head.weight")}
    stored = to_8bit(tensors)
    model = copy.deepcopy(subject.model)
    values = {n: stored[n].float() * stored[f"{n}.scale"][:, None] if f"{n}.scale" in stored else stored[n] for n in tensors}
    model.load_state_dict(values, strict=False)
    return common.Subject(model, subject.tokenizer, subject.about)


def name_recurs(name: str, ids, tokenizer, last: int) -> bool:
    return re.search(rf"\b{re.escape(name)}\b", text_of(ids[-last:], tokenizer)) is not None


def repeats(ids, n: int) -> int:
    """How often the most frequent run of n tokens occurs."""
    runs = Counter(tuple(ids[i : i + n]) for i in range(len(ids) - n + 1))
    return max(runs.values(), default=0)


def stories(subject, config: dict) -> dict:
    """10 prompts × 5 seeds, none left out."""
    rows = [(p, seed) for p in config["prompt"] for seed in config["seeds"]]
    prompts = [subject.tokenizer.encode(p["text"]).ids for p, _ in rows]
    seeds = [seed for _, seed in rows]
    out = decode.generate(subject.model, prompts, seeds, config["max_tokens"], config["temperature"])
    recur = [name_recurs(p["name"], ids, subject.tokenizer, config["last"]) for (p, _), ids in zip(rows, out, strict=True)]
    calm = [repeats(ids, config["ngram"]) <= 2 for ids in out]
    shown = [
        p["text"] + text_of(ids, subject.tokenizer)
        for (p, seed), ids in zip(rows, out, strict=True)
        if seed == config["seeds"][0]
    ]
    return {
        "count": len(out),
        "name_recurs": float(np.mean(recur)),
        "no_8gram_thrice": float(np.mean(calm)),
        "mean_tokens": float(np.mean([len(ids) for ids in out])),
        "ended": float(np.mean([len(ids) < config["max_tokens"] for ids in out])),
        "unpicked": shown[: config["shown"]],
    }


def gaps(topk: dict, dense: dict) -> dict:
    """How many percent more nats a token TopK has, by text."""
    both = [which for which in ("validation", "held_out", "test") if which in topk and which in dense]
    return {which: 100 * (topk[which]["nats_per_token"] / dense[which]["nats_per_token"] - 1) for which in both}


def is_shipped(measured: dict, models: Path) -> bool:
    """Whether what `--only shipped` measured is of the files that are in `models` now."""
    weights = {key: models / name / "model.safetensors" for key, name in (("topk", common.TOPK), ("dense", common.DENSE)) if key in measured}
    return bool(weights) and all(path.exists() and measured[key]["model"]["sha256"] == common.sha256(path) for key, path in weights.items())


def main():
    p = common.parser(__doc__)
    p.add_argument("--also", type=Path, nargs="*", default=[], help="other folders, measured on the validation file")
    p.add_argument("--limit", type=int, help="only so many tokens of a text (a trial run)")
    p.add_argument("--test", action="store_true", help="the test stories too: once, when the models are finished")
    p.add_argument("--only", choices=["topk", "dense", "also", "shipped"], help="run this part again; the others are kept")
    args = p.parse_args()
    common.start(args)
    clock, arrays, config = common.Clock(), common.texts(args.data), tomllib.loads(CONFIG.read_text())
    topk, dense = common.subjects(args, args.data)
    texts = [which for which in ("validation", "held_out", "test") if len(arrays.get(f"{which}.ids", ())) and (which != "test" or args.test)]
    if "held_out" not in texts:
        p.error(f"{args.data} has no held-out documents: make it with a smaller held_out_every")
    if args.also and "validation" not in texts:
        p.error(f"--also is measured on the validation text, but {args.data} has none: name one under [validation] in the config of topklm.data")
    result = common.read(args.results, "quality")
    if not args.only:
        result = {"shipped": result["shipped"]} if is_shipped(result.get("shipped", {}), args.models) else {}
    owner = common.Tokenizer.from_file(str(args.data / "tokenizer.json"))
    for key, subject, path in (("topk", topk, args.topk or args.models / common.TOPK), ("dense", dense, args.dense or args.models / common.DENSE)):
        if subject is not None and args.only == "shipped":
            measured = {which: bits_per_byte(subject, arrays, owner, which, args.limit) for which in texts if which != "test"}
            result.setdefault("shipped", {})[key] = {"model": subject.about, "weights": stored_as(path)} | measured
        if subject is None or args.only not in (None, key):
            continue
        result[key] = {"model": subject.about, "weights": stored_as(path)}
        for which in texts:
            result[key][which] = bits_per_byte(subject, arrays, owner, which, args.limit)
        rough = bits_per_byte(in_8bit(subject), arrays, owner, "held_out", args.limit)["bits_per_byte"]
        result[key]["8bit_minus_f32"] = {"held_out_bits_per_byte": rough - result[key]["held_out"]["bits_per_byte"], "with_head": True}
        result[key]["stories"] = stories(subject, config)
    for path in args.also:
        other = common.subject(path, args.data)
        entry = {"model": other.about, "validation": bits_per_byte(other, arrays, owner, "validation", args.limit)}
        result.setdefault("also", {})[other.about["name"]] = entry
    pair = result.get("shipped", {}) if args.only == "shipped" else result
    if "topk" in pair and "dense" in pair:
        pair["gap_percent"] = gaps(pair["topk"], pair["dense"])
    compared = args.only != "shipped" and "validation" in result.get("topk", {})  # `--only also` measures no TopK model
    for other in result.get("also", {}).values() if compared else ():
        ours, theirs = result["topk"]["validation"]["bits_per_byte"], other["validation"]["bits_per_byte"]
        other["topk_is_lower_by_percent"] = 100 * (1 - ours / theirs)
    if args.only != "shipped":
        result["seconds"] = clock()
    common.write(args.results, "quality", result)


if __name__ == "__main__":
    common.run(main)
