"""A KV cache for many sequences at once: for the figures about many stories, not for one reader. claims/decode.py samples with it."""

import torch

from .model import TopKLM, rotate
from .topk import topk_cut


class Decoder:
    """A KV cache for a batch of sequences of one length; `capacity` positions, n_ctx unless given."""

    def __init__(self, model: TopKLM, batch: int, capacity: int | None = None):
        c = model.config
        self.model, self.c = model, c
        shape = (c.n_layers, batch, c.n_heads, capacity or c.n_ctx, c.d_head)
        # Under autocast the products would take keys and values in its precision anyway, cast anew at every step.
        kept = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
        self.keys, self.values = torch.zeros(shape, dtype=kept), torch.zeros(shape, dtype=kept)
        self.length = 0

    @torch.no_grad()
    def feed(self, ids: torch.Tensor, edit=None, edit_in=None) -> torch.Tensor:
        """ids [B, T] -> logits of the last position [B, V]. `edit(layer, x [B, T, d], start) -> x` may change the stream
        after the cut (site topk_out), `edit_in` before it (topk_in)."""
        c, start = self.c, self.length
        B, T = ids.shape
        end = start + T
        if end > c.n_ctx:
            raise ValueError(f"{end} positions do not fit into the context of {c.n_ctx}")
        x = self.model.embed(ids)
        cos, sin = self.model.cos[start:end], self.model.sin[start:end]
        for layer, block in enumerate(self.model.model.layers):
            a = block.self_attn
            h = block.input_layernorm(x)
            q, k, v = (p(h).view(B, T, c.n_heads, c.d_head).transpose(1, 2) for p in (a.q_proj, a.k_proj, a.v_proj))
            self.keys[layer, :B, :, start:end], self.values[layer, :B, :, start:end] = rotate(k, cos, sin), v
            scores = rotate(q, cos, sin) @ self.keys[layer, :B, :, :end].transpose(-1, -2) * c.d_head**-0.5
            scores = scores + self.model.causal[start:end, :end]
            z = scores.softmax(-1) @ self.values[layer, :B, :, :end]
            x = x + a.o_proj(z.transpose(1, 2).reshape(B, T, -1))
            x = x + block.mlp(block.post_attention_layernorm(x))
            if edit_in is not None:
                x = edit_in(layer, x, start)
            x = topk_cut(x, block.k, block.select, block.post)
            if edit is not None:
                x = edit(layer, x, start)
        self.length = end
        return self.model.logits(x[:, -1])
