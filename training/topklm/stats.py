"""What a neuron's activations say: the definitions of docs/statistics.md, in Python. Twin: crate/src/features/statistics.rs,
tested on the same vectors (tests/entropy_vectors.json).

A neuron is described by its N highest-activating positions: the *input* tokens there. Position 0 and special tokens are left
out. Entropies are in bits; 2^H reads as "effective tokens".
"""

import numpy as np
import torch

N = 100
RARE_BELOW = 20
EMERGENCE_JS = 0.5


def entropy(counts) -> float:
    """−Σ p log2 p of counts (zeros allowed); 0 of nothing."""
    c = np.asarray(counts, dtype=np.float64)
    c = c[c > 0]
    if not len(c):
        return 0.0
    p = c / c.sum()
    return float(max(0.0, -(p * np.log2(p)).sum()))


def js_distance(a: dict, b: dict) -> float:
    """Jensen–Shannon distance, base 2 (0 equal … 1 disjoint): the square root of the divergence of two {type: count}.
    An empty one is at distance 1 from any other, and at 0 from an empty one."""
    keys = sorted(set(a) | set(b))
    p, q = (np.array([c.get(k, 0) for k in keys], dtype=np.float64) for c in (a, b))
    if not p.sum() or not q.sum():
        return 0.0 if p.sum() == q.sum() else 1.0
    p, q = p / p.sum(), q / q.sum()
    m = (p + q) / 2
    kl = [np.sum(x[x > 0] * np.log2(x[x > 0] / m[x > 0])) for x in (p, q)]
    return float(np.sqrt(min(1.0, max(0.0, sum(kl) / 2))))


def counts(ids) -> dict:
    """{id: count} of the ids that are not negative (a negative id is "none")."""
    values, number = np.unique([i for i in ids if i >= 0], return_counts=True)
    return dict(zip(values.tolist(), number.tolist(), strict=True))


def emergence(distances, limit: float) -> np.ndarray:
    """For distances [steps, …]: the number of the first step from which on all are at most `limit`; `steps` where none is."""
    d = np.asarray(distances, dtype=np.float64)
    return len(d) - np.logical_and.accumulate(np.flip(d <= limit, 0), 0).sum(0)


class Top:
    """The N largest activations of many neurons over a stream of positions, with two ids kept beside each.

    Where activations are equal the earlier position wins.
    """

    def __init__(self, neurons: int, n: int = N):
        self.values = torch.full((neurons, n), -torch.inf)
        self.ids = torch.full((neurons, n, 2), -1, dtype=torch.int64)
        self.active = torch.zeros(neurons, dtype=torch.int64)
        self.positions = 0

    def add(self, x: torch.Tensor, ids: torch.Tensor):
        """x [P, neurons]: an entry of 0 is no activation. ids [P, 2]: token and the one that follows (−1: none)."""
        n = self.values.shape[1]
        self.positions += len(x)
        self.active += (x != 0).sum(0)
        x = torch.where(x != 0, x, -torch.inf).T
        values, at = x.topk(min(n + 1, x.shape[1]), dim=1)
        # torch.topk takes any of equal ones: neurons that have such are sorted.
        tied = ((values[:, 1:] == values[:, :-1]) & (values[:, 1:] > -torch.inf)).any(1)
        at[tied] = x[tied].sort(dim=1, descending=True, stable=True).indices[:, : n + 1]
        at = at[:, :n]
        fresh = ids[at]
        values = torch.cat([self.values, x.gather(1, at)], dim=1)
        order = values.sort(dim=1, descending=True, stable=True).indices[:, :n]
        self.values = values.gather(1, order)
        both = torch.cat([self.ids, fresh], dim=1)
        self.ids = both.gather(1, order[..., None].expand(-1, -1, 2))
        self.ids[self.values == -torch.inf] = -1

    def tokens(self, neuron: int) -> dict:
        """{token id: count} at the top positions."""
        return counts(self.ids[neuron, :, 0].tolist())

    def table(self, clusters=None) -> dict:
        """Columns over all neurons: n, density, and the three entropies (`clusters`: cluster number of every id, or None)."""
        n = (self.values > -torch.inf).sum(1).numpy()
        ids = self.ids.numpy()
        token, following, semantic = [], [], []
        for row, number in zip(ids, n, strict=True):
            used = row[:number]
            token.append(entropy(list(counts(used[:, 0]).values())))
            following.append(entropy(list(counts(used[:, 1]).values())))
            if clusters is not None:
                semantic.append(entropy(list(counts(clusters[used[:, 0]]).values())))
        return {
            "n": n,
            "density": self.active.numpy() / max(self.positions, 1),
            "token_entropy": np.array(token),
            "next_entropy": np.array(following),
            "semantic_entropy": np.array(semantic) if clusters is not None else None,
        }


def better_tail(upper: dict, lower: dict) -> dict:
    """Column by column the tail of lower token entropy; a rare tail (n < RARE_BELOW) wins only against a rarer one."""
    a = np.where(upper["n"] >= RARE_BELOW, upper["token_entropy"], np.inf)
    b = np.where(lower["n"] >= RARE_BELOW, lower["token_entropy"], np.inf)
    low = (b < a) | ((a == b) & np.isinf(a) & (lower["n"] > upper["n"]))
    out = {k: np.where(low, lower[k], v) if v is not None else None for k, v in upper.items()}
    out["tail"] = np.where(low, -1, 1)
    return out
