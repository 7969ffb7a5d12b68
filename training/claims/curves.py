"""Words against surprise, read off between the points that claims.sets measured."""

import numpy as np

# Times the surprise at which curves are read.
AT = (1.05, 1.1, 1.2, 1.3, 1.5)


def read_off(base: float, points, keys=("words", "half")) -> list[dict]:
    """Words a text, the share of concepts with two of them in half of the texts and other figures of the points that are 0 without an edit, at each surprise
    of `AT` that the curve reaches; `base`: words without an edit."""
    points = [{"nll_ratio": 1.0} | dict.fromkeys(keys, 0.0) | {"words": base}, *points]
    ratios = np.maximum.accumulate([point["nll_ratio"] for point in points])
    return [{"nll_ratio": at} | {key: float(np.interp(at, ratios, [point[key] for point in points])) for key in keys} for at in AT if at <= ratios[-1]]


def words_at(figures, ratio) -> float | None:
    """Words a text at a surprise of `AT`; `None` where the curve ends below it."""
    return next((at["words"] for at in read_off(figures["base"], figures["curve"]) if at["nll_ratio"] == ratio), None)
