"""What longer training does: the models of training/next, which read four times as much, beside the shipped ones, figure by figure.

Both were measured by the same commands; the longer trained ones' results are in results/22M. `claims.table` writes results/longer.json with the
tables. The two differ in more than what they read: training/next/README.md says in what.
"""

from pathlib import Path

from .curves import EQUAL, words_at
from .paper import Figures

LONGER = "22M"
MODELS = ("16 M parameters, 30 M tokens", "22 M parameters, 120 M tokens")


def works(method: str, size: str | None = None):
    return lambda f: f("sets", "methods", method, *([size] if size else []), "works")


def words(method: str, size: str):
    return lambda f: words_at(f("sets", "methods", method, size))


def bounded(f) -> str:
    return f"Share of 20 topics brought into half of the texts, at most {f('sets', 'bounds', 'likelihood'):g} times the surprise."


def figure(*path):
    return lambda f: f(*path)


# (name, definition or what makes it of a figure, unit as www/src/lib/claims/figures.ts has it, the figure of one of both)
ROWS = (
    ("validation text", "Bits per byte of the TinyStories validation text.", "three", figure("quality", "topk", "validation", "bits_per_byte")),
    ("… of the dense twin", "The same text.", "three", figure("quality", "dense", "validation", "bits_per_byte")),
    ("loss on test stories", "Nats per token above the dense twin's, on stories used only for this figure, in percent.", "signed", figure("quality", "gap_percent", "test")),
    ("who is named", "Questions on stories that are answered rightly; 50 % is guessing.", "percent", figure("consistency", "topk", "who", "right")),
    ("who has it", "The same, after the whole story.", "percent", figure("consistency", "topk", "holder", "right")),
    ("which object", "The same, within the story.", "percent", figure("consistency", "topk", "what", "right")),
    ("written from memory", "Runs of 13 words that are in the training text, of all that the model writes.", "tenths", figure("copies", "rows", "topk", "known")),
    ("… in held-out stories", "The same of stories that it was not trained on.", "tenths", figure("copies", "rows", "held_out", "known")),
    ("F1 of a neuron's label", "How well a few tokens tell where it is active; median.", "two", figure("controls", "rows", "topk", "f1")),
    ("… at step 928", "An eighth of the longer training, a quarter of the shorter.", "two", figure("controls", "rows", "early", "f1")),
    ("… of the same states, rotated", "Control.", "two", figure("controls", "rows", "topk_rotated", "f1")),
    ("… of SAE features", "TopK, k 48, block 4 of the twin.", "two", figure("controls", "rows", "sae topk-k48", "f1")),
    ("same index, next block", "How alike the tokens are that one index reads in neighboring blocks.", "two", figure("controls", "rows", "topk", "layers", "same_index")),
    ("not settled before the end", "Neurons whose tokens still change after the last checkpoint but one.", "percent", figure("trace", "topk", "not_settled")),
    ("times that a neuron turns a contrast", "At least 1.5 times as far as the best of 100 random neurons; at most three neurons a contrast and side are listed.", "count", figure("switches", "listed")),
    ("… three times as far", "Of these.", "count", figure("switches", "switches")),
    ("… three times as far after new prompts", "After prompts that they were not found with.", "count", figure("switches", "times", "switches")),
    ("topics by one neuron", bounded, "percent", works("topk", "1")),
    ("… by up to 8 neurons", "The same.", "percent", works("topk", "8")),
    ("… by up to 32 neurons", "The same.", "percent", works("topk", "32")),
    ("… by up to 8 coordinates", "Of the dense twin.", "percent", works("dense", "8")),
    ("… by one SAE feature", "TopK, k 48, block 4 of the twin.", "percent", works("sae", "1")),
    ("… by up to 8 SAE features", "TopK, k 48, block 4 of the twin.", "percent", works("sae", "8")),
    ("… by raised logits", "Of the topic's words, without any neuron.", "percent", works("logits")),
    ("words of a topic, 8 neurons", f"A text, where texts are {EQUAL} nats a token more surprising than plain ones.", "two", words("topk", "8")),
    ("words of a topic, 8 SAE features", "The same.", "two", words("sae", "8")),
    ("next word by eight neurons", "How far eight neurons of another text, copied in after block 4, move its next word towards that text’s; median.", "percent", figure("patches", "rows", "4", "topk", "together", "8")),
    ("variance that an SAE explains", "TopK, k 48, block 4 of the twin.", "tenths", figure("sae", "topk-k48", "variance_explained")),
    ("… trained on so many positions", "Of the twin's states after block 4.", "count", figure("sae", "topk-k48", "trained_positions")),
    ("nats that it adds", "Per token, where its reconstruction stands in for the state.", "three", figure("sae", "topk-k48", "loss_added_by_splice")),
)  # fmt: skip


def rows(results: Path) -> list[dict]:
    """Those with both figures."""
    both, found = [Figures(results), Figures(results / LONGER)], []
    for name, definition, unit, of in ROWS:
        try:
            values = [of(f) for f in both]
            definition = definition if isinstance(definition, str) else definition(both[0])
        except KeyError:  # not measured
            continue
        if None not in values:
            found.append({"name": name, "definition": definition, "unit": unit, "values": values})
    return found
