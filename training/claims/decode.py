"""Samples many texts at once, each row with its own prompt, seed and edit (docs/semantics.md: an edit sets one neuron).
"""

from dataclasses import asdict, dataclass

import numpy as np
import torch

from topklm.generate import Decoder

from . import common


NEVER = 1 << 30  # no position


@dataclass(frozen=True)
class Edit:
    """An edit as the engine takes it. `feature` stands for `index` where a direction (an SAE's decoder row) is added."""

    layer: int
    index: int
    action: str = "clamp"  # clamp | add
    value: float = 0.0
    site: str = "topk_out"  # topk_out | topk_in
    positions: str = "all"  # all | generated
    propagate: str = "layer"  # layer | from_layer
    until: int | None = None  # let go once so many new tokens are written; the engine takes `positions` {from, to} for it

    def table(self) -> dict:
        return {key: value for key, value in asdict(self).items() if key != "until" or value is not None}


class RowEdits:
    """At most one edit of a block a row, or a tuple of such edits, applied to the stream [rows, T, d] of every block; the two hooks of `Decoder.feed`.

    `blocks` are the blocks that can be edited (from_layer reaches the later ones of them). With `directions` [F, d] the
    index names a row of it, and `add` adds that row times the value.
    """

    def __init__(self, edits, prompt_lengths, blocks, directions=None):
        self.directions, self.groups = directions, {}
        for row, edit in ((row, edit) for row, own in enumerate(edits) for edit in (own if isinstance(own, tuple) else (own,))):
            if edit is None:
                continue
            if directions is not None and edit.action != "add":
                raise ValueError(f"a direction can only be added, not {edit.action}")
            first = prompt_lengths[row] if edit.positions == "generated" else 0
            end = NEVER if edit.until is None else prompt_lengths[row] + edit.until - 1
            for layer in [b for b in blocks if b > edit.layer] if edit.propagate == "from_layer" else []:
                self._put(layer, edit, row, first, end)
            self._put(edit.layer, edit, row, first, end)
        for key, entries in self.groups.items():
            rows, index, value, first, end = (torch.tensor(column) for column in zip(*entries, strict=True))
            self.groups[key] = rows, index, value.float(), first, end

    def _put(self, layer, edit, row, first, end):
        self.groups.setdefault((layer, edit.site, edit.action), []).append((row, edit.index, edit.value, first, end))

    def apply(self, site, layer, x, start):
        """x [B, T, d] at positions start…, changed in a copy."""
        for action in ("clamp", "add"):
            group = self.groups.get((layer, site, action))
            if group is None:
                continue
            rows, index, value, first, end = group
            at = start + torch.arange(x.shape[1])[None, :]
            on = (at >= first[:, None]) & (at < end[:, None])  # [R, T]
            x = x.clone()
            if self.directions is not None:
                x[rows] += (value[:, None] * on)[..., None] * self.directions[index][:, None, :]
                continue
            old = x[rows, :, index]  # [R, T]
            new = value[:, None].expand_as(old) if action == "clamp" else old + value[:, None]
            x[rows, :, index] = torch.where(on, new, old)
        return x

    def before(self, layer, x, start):
        return self.apply("topk_in", layer, x, start)

    def after(self, layer, x, start):
        return self.apply("topk_out", layer, x, start)


@torch.no_grad()
def generate(
    model, prompts, seeds, max_tokens, temperature, edits=None, blocks=(), directions=None, stop=0, batch=None, watch=None, bias=None, bias_until=None
):
    """New ids, a list a row; ends at `stop`, which is left out. Prompts may differ in length; the noise of a row is its
    seed's alone, so the same row with and without an edit draws the same numbers. With `watch` [V, C], a 0/1 column a
    family of tokens, also how many of each family were to be expected: probabilities summed over the steps, [rows, C].
    `bias(rows)` gives what is added to the logits of a slice of the rows, [len, V], at the first `bias_until` new tokens alone if that is given."""
    out, expected = [], []
    edits = edits or [None] * len(prompts)
    batch = batch or common.at_once(512, 4096)
    for at in range(0, len(prompts), batch):
        part = slice(at, at + batch)
        row_edits = RowEdits(edits[part], [len(p) for p in prompts[part]], blocks, directions)
        ids, sums = _generate(model, prompts[part], seeds[part], max_tokens, temperature, row_edits, stop, watch, bias(part) if bias else 0, bias_until)
        out += ids
        expected.append(sums)
    return out if watch is None else (out, np.concatenate(expected))


def _generate(model, prompts, seeds, max_tokens, temperature, edits, stop, watch, bias, bias_until):
    lengths = np.array([len(p) for p in prompts])
    shortest, n = int(lengths.min()), len(prompts)
    total = min(int(lengths.max()) + max_tokens, model.config.n_ctx)
    draws = {seed: np.random.default_rng(seed).random(max_tokens) for seed in set(seeds)}
    noise = np.stack([draws[seed] for seed in seeds])
    padded = np.full((n, int(lengths.max())), stop)
    for row, prompt in enumerate(prompts):
        padded[row, : len(prompt)] = prompt
    decoder = Decoder(model, n, total)
    logits = decoder.feed(torch.as_tensor(padded[:, :shortest]), edits.after, edits.before)
    out, alive = [[] for _ in prompts], np.ones(n, dtype=bool)
    expected = None if watch is None else np.zeros((n, watch.shape[1]))
    for position in range(shortest, total + 1):
        step = position - lengths  # which new token this is, negative while the prompt lasts
        draw = torch.as_tensor(noise[np.arange(n), step.clip(0, max_tokens - 1)]).float()
        raised = bias if bias_until is None else bias * torch.as_tensor(step < bias_until)[:, None]
        p = ((logits.float() + raised) / temperature).softmax(-1)
        cumulative = p.cumsum(-1)
        ids = (cumulative < draw[:, None] * cumulative[:, -1:]).sum(-1).clamp(max=logits.shape[-1] - 1).numpy(force=True)
        fresh = (step >= 0) & (step < max_tokens)
        if watch is not None:
            expected += (p @ watch).float().numpy(force=True) * (fresh & alive)[:, None]
        given = padded[:, min(position, padded.shape[1] - 1)]
        ids = np.where(step < 0, given, ids)
        alive &= ~(fresh & (ids == stop))
        for row in np.flatnonzero(fresh & alive):
            out[row].append(int(ids[row]))
        if position == total or not (alive & (step + 1 < max_tokens)).any():
            break
        logits = decoder.feed(torch.as_tensor(ids[:, None]), edits.after, edits.before)
    return out, expected


@torch.no_grad()
def nll(model, prompts, continuations, batch=None):
    """(nats, tokens) a row: −log p of each continuation after its prompt under `model`, unedited."""
    nats, counts = np.zeros(len(prompts)), np.array([len(c) for c in continuations])
    batch = batch or common.at_once(16, 512)
    order = np.argsort([len(p) + len(c) for p, c in zip(prompts, continuations, strict=True)], kind="stable")
    for at in range(0, len(order), batch):
        rows = order[at : at + batch]
        width = max(len(prompts[r]) + len(continuations[r]) for r in rows)
        ids, targets = np.zeros((len(rows), width), dtype=np.int64), np.full((len(rows), width), -1)
        for i, r in enumerate(rows):
            whole = [*prompts[r], *continuations[r]]
            ids[i, : len(whole)] = whole
            targets[i, len(prompts[r]) - 1 : len(whole) - 1] = continuations[r]
        logits = model(torch.as_tensor(ids)).float().flatten(0, 1)
        loss = torch.nn.functional.cross_entropy(logits, torch.as_tensor(targets).flatten(), ignore_index=-1, reduction="none")
        nats[rows] = loss.view(len(rows), width).sum(-1).double().numpy(force=True)
    return nats, counts
