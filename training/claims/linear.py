"""How the next token depends, to first order, on what is added to the stream: the effect of every coordinate on contexts that the model wrote
itself, and the short list that does most for a concept at a given divergence. Twin: crate/src/steer/ (effect.rs and choice.rs)."""

import torch

from . import decode

LENGTH, DRAWS = 32, 2  # tokens of a context; contexts of each choosing and scoring prompt
FIRST, EVERY = 5, 4  # the positions of a context at which the next token is looked at
STEP, QUANTILE = 0.2, 0.9  # of a coordinate's positive values: the finite difference
RIDGE = 1e-3
CHUNK, TOGETHER = 4, 16  # contexts whose whole Jacobian is held, and coordinates moved in one forward pass
# How much more a position counts where the words fit: the power of their mass. Of 0.25, 0.5, 0.75 and 1 it brought two words into the most texts
# of six concepts at 1.25 times the surprise, on the old prompts (0.54, 0.63, 0.72 and 0.59 of them).
POWER = 0.75


class Effect:
    """How the next token depends on what is added behind the blocks `layers` at all positions: p [N, V] at N sampled positions,
    the Jacobian J [N, V, D] of the logits by finite differences, and the Fisher matrix F [D, D], f64; D: the coordinates behind the first
    of the blocks, then those behind the next. With `keep` only the rows of those tokens stay in J."""

    @torch.no_grad()
    def __init__(self, model, prompts, layers: list[int], keep: list[int] | None = None):
        parts = []
        prompts = [p if len(p) <= LENGTH // 2 else [p[0], *p[1 - LENGTH // 2 :]] for p in prompts]  # BOS, and the end of a long one
        for draw in range(DRAWS):
            seeds = [700_000 + 100_000 * draw + i for i in range(len(prompts))]
            written = decode.generate(model, prompts, seeds, LENGTH, 0.8, stop=-1)
            parts += [[*p, *w][:LENGTH] for p, w in zip(prompts, written, strict=True)]
        ids = torch.tensor(parts)
        self.layers, d, V = layers, model.config.d_model, model.config.d_vocab
        at, D = torch.arange(FIRST, LENGTH, EVERY), d * len(layers)

        def logits(x, layer):
            return model.logits(model.onward(x, layer + 1)[:, at]).float()

        def step(column):
            positive = column[column > 0]
            return STEP * float(torch.quantile(positive, QUANTILE) if len(positive) else column.std())

        behind = {layer: x for layer, x in enumerate(model.stream(ids)) if layer in layers}
        steps = {layer: torch.tensor([step(x[..., i].flatten()) for i in range(d)]) for layer, x in behind.items()}
        p, kept, mean, fisher = [], [], [], torch.zeros(D, D)
        for first in range(0, len(ids), CHUNK):
            part = slice(first, first + CHUNK)
            n = len(ids[part])
            before = logits(behind[layers[0]][part], layers[0])
            J = torch.zeros(n * len(at), V, D)
            for number, layer in enumerate(layers):
                moving = steps[layer].nonzero().flatten()
                for some in moving.split(TOGETHER):
                    moved = behind[layer][part].repeat(len(some), 1, 1, 1)
                    moved[torch.arange(len(some)), ..., some] += steps[layer][some, None, None]
                    after = logits(moved.flatten(0, 1), layer).unflatten(0, (len(some), n))
                    change = (after - before) / steps[layer][some, None, None, None]
                    J[:, :, number * d + some] = change.permute(1, 2, 3, 0).flatten(0, 1)
            p.append(before.flatten(0, 1).softmax(-1))
            mean.append(torch.einsum("nv,nvd->nd", p[-1], J))
            for own, rows, middle in zip(p[-1], J, mean[-1], strict=True):
                spread = own.sqrt()[:, None] * (rows - middle)
                fisher += spread.T @ spread
            kept.append(J if keep is None else J[:, keep].clone())
        self.p, self.J, self.mean = torch.cat(p), torch.cat(kept), torch.cat(mean)
        fisher = fisher.double() / len(self.p)
        own = fisher.diag().view(len(layers), d).mean(1, keepdim=True).expand(-1, d).flatten()
        self.F = fisher + RIDGE * own.diag()
        self.rows = None if keep is None else {token: row for row, token in enumerate(keep)}

    def columns(self, layers) -> torch.Tensor:
        """Where the coordinates behind these of the blocks are, [D']."""
        d = len(self.F) // len(self.layers)
        return torch.cat([torch.arange(d) + d * self.layers.index(layer) for layer in layers])

    def gain(self, tokens: list[int], power: float = POWER) -> torch.Tensor:
        """Gradient of the log of the tokens' mass, mean over the positions, weighted by a power of the mass there, f64 [D]:
        where a word never fits, it need not come."""
        part = self.p[:, tokens]
        mass = part.sum(1)
        rows = tokens if self.rows is None else [self.rows[token] for token in tokens]
        gradient = torch.einsum("nw,nwd->nd", part, self.J[:, rows]) / mass[:, None] - self.mean
        weights = mass**power
        return ((weights / weights.sum())[:, None] * gradient).sum(0).double()


def chosen(F: torch.Tensor, g: torch.Tensor, size: int, basis: torch.Tensor | None = None, rank: int = 0) -> tuple[list[int], torch.Tensor]:
    """(indices, amounts) of `size` rows of `basis` [n, d] (None: the coordinates), greedily: each adds most to gᵀF⁻¹g, but for the first, of
    which `rank` are better, and the amounts are the best ones for the whole list. Scaled to a predicted divergence of 1 nat."""
    B = torch.eye(len(g), dtype=torch.float64) if basis is None else basis.double()
    gains, FB = (g, F) if basis is None else (B @ g, B @ F)
    own = (FB * B).sum(1)
    picked: list[int] = []
    amounts = torch.zeros(0, dtype=torch.float64)
    for _ in range(size):
        rest, spread = gains, own
        if picked:
            across = FB @ B[picked].T  # [n, |S|]
            rest = gains - across @ amounts
            spread = own - (across @ torch.linalg.inv(across[picked]) * across).sum(1)
        score = rest**2 / spread.clamp(min=1e-9 * float(own.mean()))
        score[picked] = -1
        picked.append(int(score.argsort(descending=True)[0 if picked else rank]))
        inner = FB[picked] @ B[picked].T
        amounts = torch.linalg.solve(inner, gains[picked])
    return picked, amounts / float((amounts @ inner @ amounts / 2).sqrt())


def at_random(F: torch.Tensor, g: torch.Tensor, size: int, rng) -> tuple[list[int], torch.Tensor]:
    """As `chosen`, but of random coordinates."""
    picked = rng.choice(len(g), size, replace=False).tolist()
    inner = F[picked][:, picked]
    amounts = torch.linalg.solve(inner, g[picked])
    return picked, amounts / float((amounts @ inner @ amounts / 2).sqrt())
