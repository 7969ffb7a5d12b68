"""Tables on training: when neurons form, compute, sweeps, and the paper's claims."""

from . import paper as claims_of_the_paper
from .markdown import grid, heading, listed, number, percent

# As on the site (www/src/lib/claims/figures.ts).
UNITS = {
    "three": lambda value: number(value, 3),
    "two": number,
    "percent": percent,
    "tenths": lambda value: percent(value, 1),
    "signed": lambda value: f"{value:+.1f} %",
    "count": lambda value: f"{value:,}",
}
LONGER_LINE = ("validation text", "which object", "… three times as far", "F1 of a neuron's label", "… by up to 8 neurons")


def paper(r):
    yield from heading("The paper's qualitative claims", "table")
    yield from grid(("claim", "here", "figures", "from"), [(e["claim"], e["verdict"], e["figure"], listed([f"`{name}`" for name in e["rests_on"].split(", ")])) for e in r["claims"]])
    verdicts = [e["verdict"] for e in r["claims"]]
    counts = listed([f"{verdicts.count(verdict)} {verdict}" for verdict in claims_of_the_paper.VERDICTS])
    yield ""
    yield (
        "The claims are those of the paper's abstract, in our words; the verdicts are ours, on models of 16 M parameters that read stories, by our measures, which are not the paper's. "
        f"{counts[0].upper()}{counts[1:]}."
    )


def trace(r):
    kinds = [(key, label) for key, label in (("topk", "TopK neurons"), ("dense", "dense coordinates")) if key in r]
    steps = sorted({step for key, _ in kinds for step in r[key]["steps"]})

    def row(label, e, figure, cell):
        of = dict(zip(e["steps"], e[figure], strict=True))
        return (label, *(cell(of.get(step)) for step in steps))

    rows = []
    for key, label in kinds:
        rows += [row(label, r[key], "emerged_share", lambda v: percent(v, 1)), row("… near it at that step, whatever comes later", r[key], "within_share", lambda v: percent(v, 1))]
        rows += [row("… median distance to it", r[key], "median_js", number)]
    yield from heading("When neurons get their meaning", "trace")
    yield from grid(("have their final meaning by step", *map(str, steps)), rows)
    topk = r["topk"]
    yield ""
    text = (
        f"Shares of {topk['units']:,} neurons whose Jensen–Shannon distance to their tokens at step {topk['last_step']:,} is at most {r['js_bound']:g} from that step on, all steps over one text. "
        f"At the last step a neuron is compared with itself, so that step is left out: {percent(topk['not_settled'])} are not settled by step {topk['steps'][-1]:,}."
    )
    *larger, (_, own_k) = topk.get("trained_with_k") or [(0, None)]
    early = [step for step in topk["steps"] if larger and step < larger[-1][0]]
    if early:
        text += (
            f" Neurons are analyzed with a k of {own_k} at every step, but in training k was {listed([f'{k} until step {until:,}' for until, k in larger])}: "
            f"up to step {early[-1]:,} these are not quite the neurons that were trained."
        )
    if 0 in topk["steps"]:
        text += f" Step 0 is chance: {percent(topk['emerged_share'][topk['steps'].index(0)], 1)}."
    yield text


SIZES = (("proxy", "proxy, 4 blocks"), ("shipped", "as shipped, 6 blocks"))


def compute(r):
    rows, ratios = [], []
    for name, label in SIZES:
        size = r["sizes"].get(name, {})
        speeds = size.get("decode", {})
        for key, kind in (("topk", "TopK"), ("dense", "dense")):
            e = size.get(key)
            if e:
                rate = f"{speeds[key]:,.0f}" if key in speeds else "–"
                cells = (f"{e['tokens'] / 1e6:.1f} M", f"{e['flops'] / 1e15:.2f}", percent(e["sparse_saves_share"]), *(number(e["loss"][text], 3) for text in ("held_out", "validation")), rate)
                rows.append((f"{kind}, {label} (`{e['name']}`)", *cells))
        if "gap_percent" in size:
            gap = size["gap_percent"]
            speed = f", and decodes {number(speeds['topk_to_dense'])} times as fast" if speeds else ""
            ratios.append(f"{label}: TopK has {gap['held_out']:+.1f} % of loss on held-out stories and {gap['validation']:+.1f} % on the validation text at equal FLOPs{speed}")
    if not rows:
        return
    yield from heading("Compute and size", "compute")
    yield from grid(("", "tokens", "training, 10¹⁵ FLOPs", "of these, sparse products could save", "held out, nats per token", "validation", "decoded tokens a second"), rows)
    yield ""
    yield f"{'; '.join(ratios)}." if ratios else ""
    yield (
        "Counted from the shapes: forward and backward, blocks, attention and head (`training_flops` in `compute.py` says what is left out). "
        "Decoding: `topk-lm bench` on the CPU, both in turn within one run, on a machine that did other work as well; the ratio tells more than the rates."
    )
    yield ""
    yield "![Training loss against training FLOPs](results/compute.svg)"


def sweep_wide(r):
    """The settings that were trained."""
    done = {name: e for name, e in r.get("settings", {}).items() if e.get("run")}
    if not done:
        return
    rows = []
    for name, e in done.items():
        gap = e.get("gap_percent", {})
        cells = [number(e["loss"][text]["nats_per_token"], 3) for text in ("held_out", "validation")]
        cells += [f"{gap[text]:+.1f} %" if text in gap else "–" for text in ("held_out", "validation")]
        rows.append((f"`{name}`", e["why"], *cells, f"`{e['twin']}`" if "twin" in e else "–"))
    yield from heading("Wide and sparse settings, on a proxy", "sweep_wide")
    yield from grid(("setting", "what it is", "held out, nats", "validation, nats", "above its twin, held out", "validation", "twin"), rows)


def sae_trace(r):
    features = r["sae_features"]
    control, by = features["another_seed"], features["by"]
    steps = sorted({*r["steps"][:-1], *r["topk_steps"][:-1]})

    def row(label, known, values, last="–"):
        share = dict(zip(known, values, strict=True))
        return (label, *(percent(share.get(step)) for step in steps), last)

    yield from heading(f"Block {r['layer']}: is the final meaning already there?", "sae_trace")
    yield f"Share of units within a Jensen–Shannon distance of {r['js_bound']:g} of their final meaning. One SAE was trained per checkpoint."
    yield ""
    yield from grid(
        ("", *(f"step {step}" for step in steps), "two SAEs of the final weights"),
        (
            row("TopK neurons, same index", r["topk_steps"], r["topk_neurons"]["within"]),
            row("dense coordinates, same index", r["steps"], r["dense_coordinates"]["within"]),
            row("SAE features matched by decoder direction", r["steps"], by["cosine"]["within"], percent(control["within_by_cosine"])),
            row("SAE features matched by nearest token distribution", r["steps"], by["tokens"]["within"], percent(control["within_by_tokens"])),
        ),
    )
    cosine = listed([number(c) for c in features["mean_max_cosine"][:-1]])
    yield ""
    yield (
        f"Mean cosine of the matched directions: {cosine}; {number(control['mean_max_cosine'])} for two SAEs of the final weights that differ in their seed, "
        f"{number(features['mean_max_cosine_of_random_directions'])} for random directions."
    )


def sweep(r):
    if not r.get("settings"):
        return
    proxy, rule = r["proxy"], r.get("rule")
    yield from heading("Settings of the TopK activation, on a proxy", "sweep")
    yield f"d_model {proxy['d_model']}, {proxy['n_layers']} blocks, {proxy['tokens'] / 1e6:.1f} M tokens, one seed."
    yield ""
    head = ("k", "n_nontopk", "annealed", "other", "nats per token", "above dense", "median token entropy, bits", "below 2 bits", "bits saved per 1 % of loss")
    rows = []
    for name, e in r["settings"].items():
        other = ", ".join(v for v in (e["select"], e["post"]) if v not in (None, "value", "identity"))
        gap = f"{e['gap_percent']:+.1f} %" if e["k"] and "gap_percent" in e else "–"
        cells = [str(e["k"] or "dense"), "–" if e["n_nontopk"] is None else str(e["n_nontopk"]), "yes" if e["annealed"] else "–", other or "–"]
        cells += [number(e["loss"]["validation"]["nats_per_token"], 3), gap, number(e["token_entropy_median"])]
        cells += [percent(e["share_under_2_bits"]), number(e.get("bits_per_percent"))]
        rows.append([f"**{c}**" for c in cells] if name == r.get("best") else cells)
    yield from grid(head, rows)
    if r.get("best"):
        yield ""
        yield (
            f"Bold marks the selected setting: the lowest token entropy among those within {rule['within_percent']:g} % of the dense loss; if there is none, the most bits "
            "saved per 1 % of loss. The rule favors large k. The dense median covers all blocks, the others the TopK blocks; dense coordinates count by their better tail, "
            "neurons by their highest values."
        )


def longer_trained(r):
    yield from heading("Trained four times as long", "table")
    yield from grid(("", *r["columns"]), [(e["name"], *(UNITS[e["unit"]](value) for value in e["values"])) for e in r["rows"]])
    yield ""
    yield (
        "The models of [training/next](../next/README.md) beside the shipped ones, by the same commands (`results/22M`). They also differ in shape and mixture, and their autoencoders read more: see "
        "[what longer training does](#what-longer-training-does)."
    )


def longer_settings(r):
    done = r["settings"]
    head = ("setting", "what it is", "tokens", "held-out documents, bits per byte", "validation text", "F1", "at step 928", "who", "which object")
    yield from heading("Settings of the longer training", "table")
    yield from grid(
        head,
        [
            (
                f"`{name}`", e["why"], f"{e['tokens'] / 1e6:.0f} M", *(number(e[text]["bits_per_byte"], 3) for text in ("held_out", "validation")),
                *(number(e.get(key)) for key in ("f1", "f1_at_step_928")), *(percent(e.get(key)) for key in ("who", "what")),
            )
            for name, e in done.items()
        ],
    )  # fmt: skip
    yield ""
    yield f"`configs/{r['config']}` but for what is said ({r['device']}). Weights are kept of the first alone."


def lasting(r):
    """Settings with the loss that looks ahead (`lasting`), beside those without."""
    head = ("setting", "what it is", "tokens", "held-out documents, bits per byte", "validation text", "active at", "F1", "evenly: F1", "who", "which object", "topics by one neuron", "by up to 8", "words by one", "by up to 8")
    yield from heading("Neurons that predict later words", "table")
    yield from grid(
        head,
        [
            (
                f"`{name}`", e["why"], f"{e['tokens'] / 1e6:.0f} M", *(number(e[text]["bits_per_byte"], 3) for text in ("held_out", "validation")),
                percent(e["density"], 1), number(e["f1"]), number(e["f1_even"]), *(percent(e[key]) for key in ("who", "what")),
                *(str(round(e["sets"][size]["works"] * r["concepts"])) for size in ("1", "8")), *(number(e["sets"][size]["words"]) for size in ("1", "8")),
            )
            for name, e in r["settings"].items()
        ],
    )  # fmt: skip
    yield ""
    yield (
        f"`configs/{r['config']}` but for what is said ({r['device']}; the first on a CPU). Topics: of {r['concepts']}, as in `sets`, surprise measured by `{r['judge']}`, of `22M-120M` by its own twin; uncertain by about three. "
        f"Words: a text, at {r['surprise']} times the surprise of plain texts. [Reading it](#neurons-that-look-ahead)."
    )


def idle(r):
    """What the loss that brings idle neurons back (`revive`) does, on a wide proxy."""
    yield from heading("Idle neurons put to work, on a wide proxy", "table")
    yield from grid(
        ("setting", "what it is", "idle, by block", "never active, by block", "held-out documents, nats", "validation text, nats", "F1"),
        [
            (
                f"`{name}`", e["why"], *(f"{percent(min(e[key]), 1)} to {percent(max(e[key]), 1)}" for key in ("idle", "never")),
                *(number(e[text]["nats_per_token"], 3) for text in ("held_out", "validation")), number(e.get("f1")),
            )
            for name, e in r["settings"].items()
        ],
    )  # fmt: skip
    yield ""
    yield (
        f"d_model {r['d_model']:,}, k {r['topk_k']}, {r['tokens'] / 1e6:.1f} M tokens, one seed. Idle: active at fewer than {r['idle_below']} of {r['of']:,} positions of held-out documents. "
        "[Reading it](#idle-neurons)."
    )


def shares(r):
    """How much of our own stories is read, on a proxy."""
    yield from heading("How much of our own stories to read, on a proxy", "table")
    kinds = ("who", "holder", "what")
    yield from grid(
        ("share of the tokens", "held-out documents, bits per byte", "validation text", *("who is named", "who has it", "which object"), "figure", "… sentences shuffled"),
        [
            (
                percent(e["share"]), *(number(e[text]["bits_per_byte"], 3) for text in ("held_out", "validation")),
                *(percent(e[kind]) for kind in kinds), number(e["figure"]), number(e["shuffled"]),
            )
            for e in r["settings"]
        ],
    )  # fmt: skip
    yield ""
    yield (
        f"d_model {r['d_model']}, k {r['topk_k']}, {r['tokens'] / 1e6:.1f} M tokens, one seed; {r['items']} questions of each kind, each put twice, as in `consistency` (a share right has a standard error of 3.5 points, the figure "
        "of 0.04). The stories of the questions are of our own kind, though of none that was read. [Reading it](#our-own-stories-by-share)."
    )
