"""The main findings in a table, each beside its controls, for the project's README. www/src/lib/claims/glance.ts shows the same figures as bars."""

from pathlib import Path

from . import common
from .markdown import grid, number, percent
from .table_steering import shown_block

SHARPEST = "0.004"  # of the shares of claims.strongest


def first_sae(rows):
    return next((row for name, row in rows.items() if name.startswith("sae ")), {})


def measured_with(quality: dict) -> str:
    """With which weights the losses were measured, in brackets."""
    weights = quality.get("topk", {}).get("weights")
    return f" ({weights} weights)" if weights else ""


def label_f1(reads, block) -> dict:
    """F1 of the labels of neurons and of SAE features after a block; {} where one is missing."""
    rows = {"topk": reads.get("topk", {}), "sae": first_sae(reads)}
    found = {name: row.get("blocks", {}).get(str(block), {}).get("f1") for name, row in rows.items()}
    return {} if None in found.values() else found


def glance(results: Path) -> str:
    """The table; '' where nothing of it was measured."""
    quality, patches, switches, turning, answers = (common.read(results, name) for name in ("quality", "patches", "switches", "turning", "consistency"))
    sharp, reads = (common.read(results, name) for name in ("strongest", "controls"))
    told, reads = sharp.get("rows", {}), reads.get("rows", {})
    ways = common.read(results, "sets").get("methods", {})
    rows = patches.get("rows", {})
    block = shown_block(rows) if rows else None
    patched = rows.get(block, {})

    def f1(row):
        return row.get(SHARPEST, {}).get("f1")

    def eight(row):
        return row.get("together", {}).get("8")

    def works(way, size=None):
        return (ways.get(way, {}).get(size, {}) if size else ways.get(way, {})).get("works")

    def right(model):
        return answers.get(model, {}).get("holder", {}).get("right")

    gap = quality.get("gap_percent", {}).get("test")
    cost = "" if gap is None else f"{gap:+.1f} % loss on test stories{measured_with(quality)}. "
    labels, reach = label_f1(reads, sharp.get("block")), first_sae(told).get(SHARPEST, {}).get("reach")
    elsewhere = f" (over all activations: neurons {number(labels['topk'])}, SAE features {number(labels['sae'])})" if labels else ""
    found = (
        (
            f"**Can you tell what a neuron reads?** F1 of a few tokens where it is strongest{elsewhere}",
            number,
            f1(told.get("topk", {})),
            {"the same states, rotated": f1(told.get("topk_rotated", {})), "coordinates of the dense twin": f1(told.get("dense", {})), f"the {percent(reach)} of SAE features active so often": f1(first_sae(told))},
        ),
        (
            "**How few decide the next word?** Copying eight neurons from one text into another that differs in one word moves the next word by",
            percent,
            eight(patched.get("topk", {})),
            {"SAE features on the twin": eight(first_sae(patched)), "rotated states": eight(patched.get("topk_rotated", {})), "coordinates of the twin": eight(patched.get("dense", {}))},
        ),
        (
            "**Does a neuron do the same after new prompts?** Share that turn their contrast (such as he / she) the same way",
            lambda share: percent(share, 1),
            switches.get("same_side", {}).get("mean"),
            {"random neurons": switches.get("random", {}).get("same_side", {}).get("mean")},
        ),
        (
            "**Can you find neurons for two words of yours?** Share that turn the first into the second after new prompts",
            lambda share: percent(share, 1),
            turning.get("same_side", {}).get("mean"),
            {"random neurons": turning.get("random", {}).get("same_side", {}).get("mean")},
        ),
        (
            "**Can you steer towards a topic?** Topics that up to eight bring up, while texts stay readable",
            percent,
            works("topk", "8"),
            {"one neuron": works("topk", "1"), "SAE features on the twin": works("sae", "8"), "coordinates of the twin": works("dense", "8"), "raised logits, without any neuron": works("logits")},
        ),
        (
            f"**What does TopK cost?** {cost}Correct answers to “who has it?”",
            percent,
            right("topk"),
            {"the twin": right("dense"), "guessing": 0.5},
        ),
    )
    lines = [
        (question, f"**{shown(ours)}**", " · ".join(f"{name} {shown(value)}" for name, value in others.items() if value is not None))
        for question, shown, ours, others in found
        if ours is not None and any(value is not None for value in others.values())
    ]
    return "\n".join(grid(("", "neurons", "beside them"), lines)) if lines else ""
