"""What can be edited, how large it gets, and how setting it changes the next token: the search by effect.
"""

from dataclasses import dataclass

import numpy as np
import torch

from . import decode


@dataclass
class Handles:
    """The neurons, coordinates or features that one method may edit. Handle i is `index[i]` at block `layer[i]`, its full
    strength `top[i]` (signed: the largest activation of that tail over a text). `directions` [F, d]: an SAE's decoder rows."""

    method: str  # topk | dense | sae
    blocks: list[int]
    layer: np.ndarray
    index: np.ndarray
    top: np.ndarray
    directions: torch.Tensor | None = None

    def edit(self, handle: int, strength: float, **variant) -> decode.Edit:
        value = float(np.float32(f"{strength * self.top[handle]:.4g}"))
        return decode.Edit(int(self.layer[handle]), int(self.index[handle]), value=value, **variant)


@torch.no_grad()
def extremes(model, windows: torch.Tensor, blocks, batch=32):
    """(largest, smallest) value of every coordinate after each of `blocks`, [len(blocks), d]; position 0 is left out."""
    top = torch.full((len(blocks), model.config.d_model), -torch.inf)
    low = -top
    for at in range(0, len(windows), batch):
        streams = model.stream(windows[at : at + batch])
        for i, layer in enumerate(blocks):
            values = streams[layer][:, 1:].flatten(0, 1)
            top[i], low[i] = torch.maximum(top[i], values.amax(0)), torch.minimum(low[i], values.amin(0))
    return top.numpy(force=True), low.numpy(force=True)


def coordinate_handles(method, model, windows, blocks, both_tails) -> Handles:
    """Every coordinate after each of `blocks`; with both tails also its smallest value (dense coordinates have no sign
    that means more than the other). What never is above zero (below, for the lower tail) is no handle."""
    top, low = extremes(model, windows, blocks)
    layer, index = (a.ravel() for a in np.meshgrid(blocks, np.arange(top.shape[1]), indexing="ij"))
    keep = top.ravel() > 0
    parts = [(layer[keep], index[keep], top.ravel()[keep])]
    if both_tails:
        keep = low.ravel() < 0
        parts.append((layer[keep], index[keep], low.ravel()[keep]))
    return Handles(method, list(blocks), *(np.concatenate(column) for column in zip(*parts, strict=True)))


@torch.no_grad()
def contexts(model, prompts, length: int, temperature: float) -> torch.Tensor:
    """The prompts, each continued by the model to one length: ids [P, length]."""
    out = decode.generate(model, prompts, [700_000 + i for i in range(len(prompts))], length, temperature, stop=-1)
    return torch.tensor([[*p, *o][:length] for p, o in zip(prompts, out, strict=True)])


@torch.no_grad()
def effects(model, handles: Handles, ids: torch.Tensor, words: list[list[int]], strength=1.0, last=4, rows=512):
    """What setting one handle at all positions does to the next token, over the last positions of ids.

    ids [P, T]; words: token ids a concept. A neuron is clamped to strength × its top, a direction added. The stream up
    to the edited block is computed once; from there on, only the blocks that follow. Returns (log of the mean mass of
    every concept [concepts, handles], divergence KL(unedited ‖ edited) in nats [handles]); with strength 0 the unedited
    log-mass [concepts, 1].
    """
    base = model.stream(ids)
    tokens = [torch.tensor(t) for t in words]

    def outcome(x):
        return model.logits(x[:, -last:]).float().log_softmax(-1)

    def mass(log_p):  # [n, P, last, V] -> [concepts, n]
        share = torch.stack([log_p[..., t].exp().sum(-1).mean((1, 2)) for t in tokens])
        return share.clamp(min=1e-12).log().numpy(force=True)

    before = outcome(base[-1])
    if strength == 0:
        return mass(before[None]), np.zeros(1)
    log_mass = np.zeros((len(words), len(handles.layer)))
    divergence = np.zeros(len(handles.layer))
    P = len(ids)
    chunk = max(1, rows // P)
    for layer in np.unique(handles.layer):
        mine = np.flatnonzero(handles.layer == layer)
        for at in range(0, len(mine), chunk):
            part = mine[at : at + chunk]
            x = base[layer].repeat(len(part), 1, 1)  # [chunk · P, T, d]
            value = torch.as_tensor(strength * handles.top[part]).float().repeat_interleave(P)
            which = torch.as_tensor(handles.index[part]).repeat_interleave(P)
            if handles.directions is None:
                x[torch.arange(len(x)), :, which] = value[:, None]
            else:
                x += (value[:, None] * handles.directions[which])[:, None, :]
            after = outcome(model.onward(x, layer + 1)).unflatten(0, (len(part), P))  # [chunk, P, last, V]
            log_mass[:, part] = mass(after)
            divergence[part] = (before.exp() * (before - after)).sum(-1).mean((1, 2)).numpy(force=True)
    return log_mass, divergence


def at_limit(strengths, log_mass, divergence, base, limit):
    """Where each handle's divergence reaches `limit`: (strength there [handles], log-mass there [concepts, handles]).

    log_mass [strengths, concepts, handles], divergence [strengths, handles], base [concepts, 1] at strength 0. Linear in
    between, in the root of the divergence (which grows as the square of the strength); a handle that never reaches the
    limit stands at its largest strength.
    """
    s = np.concatenate([[0.0], strengths])
    mass = np.concatenate([np.broadcast_to(base, log_mass.shape[1:])[None], log_mass])
    root = np.sqrt(np.maximum(np.concatenate([np.zeros_like(divergence[:1]), divergence]), 0.0))
    root = np.maximum.accumulate(root)
    goal = np.sqrt(limit)
    upper = np.where(root[-1] >= goal, (root >= goal).argmax(0), len(s) - 1)
    each = np.arange(root.shape[1])
    a, b = root[upper - 1, each], root[upper, each]
    share = np.where(b > a, np.clip((goal - a) / np.maximum(b - a, 1e-12), 0, 1), 1.0)
    strength = s[upper - 1] + share * (s[upper] - s[upper - 1])
    low, high = (np.moveaxis(mass[upper + k, :, each], 0, 1) for k in (-1, 0))
    return strength, low + share * (high - low)


def short_list(handles: Handles, gain: np.ndarray, count: int, same_index: int = 2) -> list[int]:
    """The handles of largest gain [handles], at most `same_index` of one index (an index keeps its meaning over blocks)."""
    chosen, seen = [], {}
    for handle in np.argsort(-gain, kind="stable"):
        index = int(handles.index[handle])
        if seen.get(index, 0) < same_index:
            chosen.append(int(handle))
            seen[index] = seen.get(index, 0) + 1
        if len(chosen) == count:
            break
    return chosen


def token_ids(tokenizer, words) -> list[int]:
    """Ids of the tokens that are one of the words as a whole, after a space, small or capital; where no word is one token,
    the first tokens of them all."""
    encoded = [tokenizer.encode(f" {f}", add_special_tokens=False).ids for w in words for f in (w, w.capitalize())]
    return sorted({e[0] for e in encoded if len(e) == 1} or {e[0] for e in encoded})
