"""What the paper says of TopK language models (Takahashi et al., arXiv 2506.21468), claim by claim, in our words, and what our models show.

The verdicts are ours; the figures come from the other results, so a row whose figures were not measured is left out. `claims.table` writes
results/paper.json with the tables. The paper's own numbers are not repeated: its models, texts and measures are others.
"""

from pathlib import Path

from . import common
from .controls import EVEN, SHARES, more_than
from .glance import SHARPEST
from .markdown import listed, number
from .markdown import percent as share

VERDICTS = REPRODUCED, PARTLY = "reproduced", "partly"


def nth(count, value) -> str:
    return f"{round(value * count)} of {count}"


class Figures:
    """Figures by result and path, as in `figures("sets", "methods", "topk", "8", "words")`."""

    def __init__(self, results: Path):
        self.results, self.known = results, {}

    def __call__(self, name: str, *path):
        if name not in self.known:
            self.known[name] = common.read(self.results, name)
        value = self.known[name]
        for key in path:
            value = value[key]
        return value


def capabilities(f):
    gap, right = f("quality", "gap_percent", "test"), {m: {k: f("consistency", m, k, "right") for k in ("who", "holder", "what")} for m in ("topk", "dense")}
    answers = {m: ", ".join(share(v) for v in of.values()) for m, of in right.items()}
    return f"{gap:+.1f} % of loss on test stories; who, holder and object in stories {answers['topk']} right, the dense twin {answers['dense']}"


def single_units(f):
    f1, f1_even, bits = ([f("controls", "rows", row, key) for row in ("topk", "topk_rotated", "dense")] for key in ("f1", "f1_even", "at_even"))
    return (
        f"a few tokens tell where a neuron is active with an F1 of {f1[0]:.2f}; the same states rotated {f1[1]:.2f}, dense coordinates {f1[2]:.2f}. "
        f"At the strongest {share(EVEN)} of the positions, or at all where a neuron is active at fewer, with the tokens that fit best, {f1_even[0]:.2f}, {f1_even[1]:.2f} and {f1_even[2]:.2f} "
        f"(the tokens have {bits[0]:.1f}, {bits[1]:.1f} and {bits[2]:.1f} bits)" + where_strongest(f)
    )


def where_strongest(f):
    """At a sharper share; '' where that was not measured."""
    rows = (f("strongest") or {}).get("rows")
    if not rows:
        return ""
    f1 = [f"{rows[name][SHARPEST]['f1']:.2f}" for name in ("topk", "topk_rotated", "dense")]
    return f"; where each is strongest, at {share(float(SHARPEST), 1)} of the positions, {listed(f1)}"


def as_saes(f):
    rows = f("controls", "rows")
    sae = rows["sae topk-k48"]
    (block,) = sae["blocks"]
    ours = rows["topk"]["blocks"][block]
    # An older result has not counted which units have that entropy.
    counted = [share(e["counts"]["at_10"] / e["units"]) for e in (ours, sae) if "counts" in e]
    often = f"only those count that are active more than {more_than(SHARES[1])} times" + (f", {listed(counted)} of them" if len(counted) == 2 else "")
    return (
        f"after block {block}, F1 of the label {ours['f1']:.2f} against {sae['f1']:.2f} of SAE features; "
        f"the tokens at their strong activations have {ours['at_10']:.1f} against {sae['at_10']:.1f} bits ({often}), and {share(ours['token'])} against {share(sae['token'])} of what they do is the token alone"
    )


def no_second_training(f):
    spliced = f("sae")
    cost = [e["loss_added_by_splice"] for e in spliced.values() if e["kind"] == "topk" and e["k"] == 48 and e["seed"] == 1]
    return f"nothing to reconstruct; a TopK SAE with k 48 in one block adds {min(cost):.2f} to {max(cost):.2f} nats, TopK in five blocks {f('quality', 'topk', 'held_out', 'nats_per_token') - f('quality', 'dense', 'held_out', 'nats_per_token'):.2f}"


def steering(f):
    method = lambda *path: f("sets", "methods", *path)  # noqa: E731
    count = len(method("topk", "1", "concepts"))
    paths = (("topk", "1"), ("topk", "8"), ("sae", "1"), ("sae", "8"), ("logits",))
    one, eight, feature, sae, logits = (nth(count, method(*path)["works"]) for path in paths)
    text = f"one neuron brings up {one} topics, up to eight {eight}; one SAE feature {feature}, up to eight {sae}; raising the logits of the words, without a neuron, {logits}"
    turned = f("switches")
    if not turned:
        return text
    return text + (
        f". {turned['listed']} times a single neuron turns a contrast, such as he / she: after new prompts to the same side in {share(turned['same_side']['mean'], 1)}, "
        f"{turned['times']['median']:.1f} times as far as the best of 100 random neurons (median; random ones in their place {number(turned['random']['times']['median'], 1)} times)"
    )


def across_steps(f):
    ours, twin = f("trace", "topk"), f("trace", "dense")
    at = {e: dict(zip(e_of["steps"], e_of["emerged_share"], strict=True)) for e, e_of in (("topk", ours), ("dense", twin))}
    both = max(set(at["topk"]) & set(at["dense"]))
    last = ours["steps"][-1]
    return (
        f"by step {both} of {ours['last_step']} {share(at['topk'][both])} of the neurons have their final meaning ({share(at['dense'][both])} of the twin's coordinates), "
        f"by step {last} {share(at['topk'][last])}; {share(ours['not_settled'])} are not settled before the end"
    )


def across_layers(f):
    topk, dense = (f("controls", "rows", row, "layers") for row in ("topk", "dense"))
    return f"one index in neighboring blocks reads similar tokens: {topk['same_index']:.2f} (random indices {topk['random_index']:.2f}; the twin {dense['same_index']:.2f})"


def stable(f):
    found = f("seeds", "mean")
    return (
        f"within a training an index stays; another seed finds {share(found['seeds']['above_half'])} of the neurons again (activations correlate above 0.5; "
        f"rotated states {share(found['rotated']['above_half'])})"
    )


def trade_off(f):
    size = f("compute", "sizes", "shipped")
    text = (
        f"equal parameters and training FLOPs, {size['gap_percent']['held_out']:+.1f} % of loss; products that read active entries alone "
        f"could save {share(size['topk']['sparse_saves_share'])} of the FLOPs"
    )
    return text + (f"; tokens are decoded {size['decode']['topk_to_dense']:.2f} times as fast" if "decode" in size else "")


# (claim, verdict, result that it rests on, figures)
CLAIMS = (
    ("Capabilities stay as they were", PARTLY, "quality, consistency", capabilities),
    ("Single neurons can be read, unlike those of a dense model", PARTLY, "controls, strongest", single_units),
    ("They are as interpretable as the features of an SAE", PARTLY, "controls", as_saes),
    ("No training afterwards, nothing to reconstruct", REPRODUCED, "sae, quality", no_second_training),
    ("Setting single neurons steers the text", PARTLY, "sets, switches", steering),
    ("The forming of neurons can be followed over checkpoints", REPRODUCED, "trace", across_steps),
    ("… and over layers", REPRODUCED, "controls", across_layers),
    ("Neurons are stable", PARTLY, "seeds", stable),
    ("A good trade of size, compute and interpretability", PARTLY, "compute", trade_off),
)


def rows(results: Path) -> list[dict]:
    figures, found = Figures(results), []
    for claim, verdict, rests_on, say in CLAIMS:
        try:
            figure = say(figures)
        except (KeyError, ValueError):  # not measured
            continue
        found.append({"claim": claim, "verdict": verdict, "figure": figure, "rests_on": rests_on})
    return found
