"""Tables on what units read, on the autoencoders beside them, and on what a model has memorized."""

from .controls import EVEN, SHARES, more_than
from .markdown import grid, heading, listed, number, percent
from .meaning import COMPARED_END

KINDS = (("topk", "TopK neurons"), ("dense", "dense coordinates"), ("sae", "SAE features"))
ENTROPIES = (("token_entropy", "Token entropy"), ("semantic_entropy", "Semantic entropy"), ("next_entropy", "Next-token entropy"))


def meaning(r):
    kinds = [(key, label) for key, label in KINDS if key in r]
    found = {key: r[key][COMPARED_END[key]]["all"] for key, _ in kinds}

    def cell(e):
        return f"{number(e['median'])} ({percent(e['share_under_2_bits'])})" if e and e["count"] else "–"

    rows = [(f"{label}, median bits (share below 2)", *(cell(found[key][name]) for key, _ in kinds)) for name, label in ENTROPIES]
    rows.append(("dead over the text", *(percent(found[key]["dead"], 1) for key, _ in kinds)))
    yield from heading("What one unit means", "meaning")
    yield from grid(("", *(label for _, label in kinds)), rows)
    yield from ("", "Neurons and features by their highest values, coordinates by whichever tail has the lower token entropy.")
    check = r.get("topk", {}).get("against_the_command") or {}
    if check.get("same_text"):
        e = check["token_entropy"]
        yield (
            f"PyTorch and `topk-lm analyze` agree on the token entropies of {e['compared']} neurons over the same text: "
            f"median difference {e['median_gap']:.5f} bits, largest {e['largest_gap']:.3f}."
        )


def sae(r):
    rows = [
        (
            "JumpReLU" if e["kind"] == "jumprelu" else "TopK",
            str(e["layer"]),
            f"{e['width']:,}",
            str(e["k"]),
            str(e["seed"]),
            f"{e['trained_positions']:,}",
            number(e["active_a_position"], 1),
            percent(e["variance_explained"], 1),
            percent(e["dead_share"], 1),
            f"{e['loss_added_by_splice']:+.3f}",
        )
        for e in sorted(r.values(), key=lambda e: (e["layer"], e["kind"] == "jumprelu", -e["k"], e["seed"], e["trained_positions"]))
    ]
    yield from heading("The autoencoders beside them", "sae")
    yield from grid(("kind", "block", "features", "k", "seed", "positions", "active a position", "variance explained", "dead", "nats per token added when spliced in"), rows)
    any_one = next(iter(r.values()))
    yield ""
    yield (
        f"Positions: of the dense twin's stream that each was trained on. The twin's own loss is {number(any_one['loss'], 3)} nats per token. Ten times fewer positions leave much worse ones: [what that does](#reading-the-sets)."
    )
    if any(e["kind"] == "jumprelu" for e in r.values()):
        yield (
            "A JumpReLU's k is what its penalty aims at; after the first blocks fewer features are active. More of them are dead than with TopK: we took the penalty and the bandwidth as they were, so these rows are no "
            "verdict on the method."
        )
    yield (
        "The stream gets harder to reconstruct from block to block, and half as many active features cost more after every one. "
        "A TopK model has nothing to reconstruct."
    )


CONTROL_ROWS = {
    "topk": "TopK neurons",
    "topk_rotated": "… the same states, rotated",
    "early": "… at step {step}",
    "untrained": "… before training",
    "embedding": "the token embedding alone",
    "dense": "dense coordinates",
    "dense_rotated": "… the same states, rotated",
}


def over(e, key) -> str:
    """A median of `claims.controls`, and what share of the units it is over, where that was counted and is not all of them."""
    count = e.get("counts", {}).get(key, e["units"])
    return number(e[key]) + (f" ({percent(count / e['units'])} of them)" if count < e["units"] else "")


def controls(r):
    rows = []
    for name, e in sorted(r["rows"].items(), key=lambda pair: [*CONTROL_ROWS, pair[0]].index(pair[0])):
        kind = {"jumprelu": "JumpReLU", "topk": "TopK"}.get(e.get("kind"))
        label = CONTROL_ROWS.get(name, f"SAE features, {kind}, k {e.get('k')}, block {e.get('layer')} (`{name.removeprefix('sae ')}`)").format(step=e.get("step"))
        layers = e["layers"] or {}
        cells = [percent(e["density"], 1), *(over(e, key) for key in ("at_1", "at_10")), *(number(e[key]) for key in ("by_value", "f1", "f1_shuffled"))]
        even = f"{number(e['f1_even'])} ({number(e['f1_even_shuffled'])})" if "f1_even" in e else "–"
        cells += [number(e.get("at_even")), even, percent(e["token"])]
        cells.append(f"{number(layers['same_index'])} ({number(layers['random_index'])})" if layers else "–")
        rows.append((label, *cells, percent(e["left_out"])))
    of_them = " (in brackets their share, where it is not all)" if any("counts" in e for e in r["rows"].values()) else ""
    yield from heading("What one unit reads, and what would refute it", "controls")
    head = ("", "active at", "entropy, strongest 1 %", "strongest 10 %", "by value", "F1", "F1 shuffled", "evenly: entropy", "evenly: F1 (shuffled)", "predicted by the token", "same index, next block (random)", "left out")
    yield from grid(head, rows)
    yield ""
    yield (
        f"Medians over {r['units_a_block']} units a block, {r['text']['tokens']:,} tokens of held-out documents; entropies in bits, of at most {r['text']['drawn']} activations. "
        f"Those at the strongest {' and '.join(map(percent, SHARES))} are only of units that are active more than {' and '.join(f'{more_than(share):,}' for share in SHARES)} times{of_them}. "
        f"Evenly: every unit at its strongest {percent(EVEN, 1)} of the positions (for the entropy {percent(EVEN / 10, 2)}; a feature that is active at fewer at all of these), with the tokens that raise F1 most. The definitions are in `controls.py`."
    )


def strongest(r):
    def cell(e):
        reach = "" if e["reach"] == 1 else f", {percent(e['reach'])} of them"
        return "–" if e["f1"] is None else f"{number(e['f1'])} ({number(e['f1_shuffled'])}{reach})"

    def label(name):
        return CONTROL_ROWS.get(name, f"SAE features (`{name.removeprefix('sae ')}`)")

    yield from heading("Where a unit is strong", "strongest")
    yield from grid((f"F1 after block {r['block']}, at the strongest", *(percent(share, 1) for share in r["shares"])), [(label(name), *map(cell, e.values())) for name, e in r["rows"].items()])
    yield ""
    yield (
        f"Of the positions of {r['tokens']:,} tokens of held-out documents; medians over {r['units']} units, in brackets with another unit's tokens, and how many units are active so often (the others are left out there). "
        "Of coordinates and rotated states the better tail is taken. [Reading it](#reading-the-controls)."
    )


def seeds(r):
    mean = r["mean"]

    def row(label, e):
        return (label, number(e["correlation"]), percent(e["above_half"]), percent(e["mutual"]) if "mutual" in e else "–")

    yield from heading("Another seed", "seeds")
    yield from grid(
        ("neurons of one seed matched to …", "correlation, median", "above 0.5", "mutual"),
        (
            row("neurons of the other seed", mean["seeds"]),
            row("directions of its states, rotated", mean["rotated"]),
            row("its neurons before training", mean["untrained"]),
            row("its neurons of the same index", mean["same_index"]),
        ),
    )
    tokens, losses = mean["seeds"]["tokens"], listed([number(v, 3) for v in r["held_out_nats"]])
    yield ""
    yield (
        f"The shipped model and another training of its config ({losses} nats per token held out), over {r['positions']:,} positions of held-out text, mean over the cut blocks. "
        f"The tokens of matched neurons have a similarity of {number(tokens['match'])}, of random pairs {number(tokens['random'])}."
    )


def copies(r):
    names = {"topk": "TopK", "dense": "dense twin", "held_out": "held-out documents", "validation": "TinyStories validation text"}
    yield from heading("What is written from memory", "copies")
    yield from grid(("", "runs", "in the training text"), [(label, f"{row['runs']:,}", percent(row["known"], 2)) for name, label in names.items() if (row := r["rows"].get(name))])
    yield ""
    yield (
        f"Runs of {r['words']} words, beyond the first {r['after']}, of {r['rows']['topk']['documents']} documents that each model writes from nothing (temperature {number(r['temperature'], 1)}), beside stories that were not trained on. "
        "[How texts are kept apart](../README.md#data) bounds what the latter can share."
    )


def consistency(r):
    def row(label, e):
        return (label, *(percent(e[kind]["right"]) if kind in e else "–" for kind in ("who", "holder", "what")), number(e["figure"]))

    rows = []
    for key, label in (("topk", "TopK"), ("dense", "dense twin")):
        if key in r:
            rows += [row(label, r[key]), row("… sentences shuffled", r[key]["shuffled_sentences"]), row("… without the story", r[key]["sentence_alone"])]
    yield from heading("Consistency", "consistency")
    yield from grid(("", "who", "holder", "what", "figure"), rows)
    yield ""
    yield f"Share of {r['items_of_each_kind']} questions of each kind answered rightly; 50 % is guessing, and the figure is the mean above it (1: always right)."
