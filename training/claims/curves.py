"""Words against surprise, read off between the points that claims.sets measured."""

import numpy as np

# Times the surprise at which curves are read.
AT = (1.05, 1.1, 1.2, 1.3, 1.5)


def read_off(base: float, points) -> list[dict]:
    """Words a text and the share of concepts with two of them in half of the texts, at each surprise of `AT` that the curve reaches; `base`: words without an edit."""
    points = [{"nll_ratio": 1.0, "words": base, "half": 0.0}, *points]
    ratios = np.maximum.accumulate([point["nll_ratio"] for point in points])
    return [{"nll_ratio": at} | {key: float(np.interp(at, ratios, [point[key] for point in points])) for key in ("words", "half")} for at in AT if at <= ratios[-1]]


def words_at(figures, ratio) -> float | None:
    """Words a text at a surprise of `AT`; `None` where the curve ends below it."""
    return next((at["words"] for at in read_off(figures["base"], figures["curve"]) if at["nll_ratio"] == ratio), None)
