"""Words against surprise, read off between the points that claims.sets measured.

Ways are compared where they make texts more surprising by equally many nats a token, not by equal factors: the dense twin is the judge, and finds its own plain
texts less surprising than the TopK model's, so that a factor would allow neurons more nats than it allows the twin's coordinates and the features of its states.
"""

import numpy as np

# Nats a token above plain texts, at which curves are read; and the one that is quoted.
AT = (0.1, 0.2, 0.3, 0.4, 0.6)
EQUAL = 0.4


def read_off(base: float, points, keys=("words", "half")) -> list[dict]:
    """Words a text, the share of concepts with two of them in half of the texts and other figures of the points that are 0 without an edit, where texts are
    more surprising by each of `AT` that the curve reaches; `base`: words without an edit."""
    points = [{"nats": 0.0} | dict.fromkeys(keys, 0.0) | {"words": base}, *points]
    nats = np.maximum.accumulate([point["nats"] for point in points])
    return [{"nats": at} | {key: float(np.interp(at, nats, [point[key] for point in points])) for key in keys} for at in AT if at <= nats[-1]]


def words_at(figures, nats: float = EQUAL) -> float | None:
    """Words a text at one of `AT`; `None` where the curve ends below it."""
    return next((at["words"] for at in read_off(figures["base"], figures["curve"]) if at["nats"] == nats), None)


def plain_nats(figures) -> float:
    """How surprising plain texts are to the judge, nats a token: from the point of a curve that is farthest from them."""
    point = figures["curve"][-1]
    return point["nats"] / (point["nll_ratio"] - 1)
