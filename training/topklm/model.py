"""A Llama-layout language model that keeps only the k largest entries of its residual stream after each block but the last
`n_nontopk` (Takahashi et al., arXiv 2506.21468). With `topk_k = None` the same code is the dense base.

Parameter names are those of transformers' LlamaForCausalLM, so a state dict is the checkpoint.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from .data import BOS
from .sparse import sparse_product
from .topk import topk_cut

# One position in so many is asked by `TopKLM.outward`; `lasting` looks so many tokens ahead.
OUTWARD_EVERY = 8
LASTING = 32
# A neuron is idle that is active at no more than one in so many positions of a batch; it is moved at so many of them (`below_cut`).
IDLE = 2_000
NEAREST = 8


@dataclass(frozen=True)
class ModelConfig:
    """Shapes and the TopK activation (docs/semantics.md). Field names follow TransformerLens."""

    d_vocab: int
    d_model: int
    n_layers: int
    n_heads: int
    d_head: int
    d_mlp: int
    n_ctx: int
    topk_k: int | None = None
    n_nontopk: int = 0
    topk_select: str = "value"
    topk_post: str = "identity"
    topk_embed: bool = False  # cut the embedding too, to as many entries as the blocks
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-5
    tied: bool = True

    def __post_init__(self):
        if self.topk_k is not None and self.topk_k < 1:
            raise ValueError(f"topk_k must be positive or absent, not {self.topk_k}")
        if not 0 <= self.n_nontopk <= self.n_layers:
            raise ValueError(f"n_nontopk must be from 0 to n_layers {self.n_layers}, not {self.n_nontopk}")
        if self.topk_select not in ("value", "abs"):
            raise ValueError(f"topk_select must be 'value' or 'abs', not {self.topk_select!r}")
        if self.topk_post not in ("identity", "relu"):
            raise ValueError(f"topk_post must be 'identity' or 'relu', not {self.topk_post!r}")
        if self.topk_embed and self.topk_k is None:
            raise ValueError("topk_embed needs topk_k: there is no cut to apply to the embedding")
        if not 0 < self.rope_theta < float("inf"):
            raise ValueError(f"rope_theta must be above 0, not {self.rope_theta}")
        if not 0 <= self.norm_eps < float("inf"):
            raise ValueError(f"norm_eps must be from 0 on, not {self.norm_eps}")
        if self.d_head % 2:
            raise ValueError(f"d_head must be even, not {self.d_head}")

    def k_at(self, layer: int) -> int | None:
        """How many entries block `layer` keeps; None where it is not cut."""
        return self.topk_k if layer < self.n_layers - self.n_nontopk else None

    @property
    def cut_blocks(self) -> list[int]:
        """The TopK blocks; of a dense model all blocks, since those of its TopK twin are not known."""
        return [layer for layer in range(self.n_layers) if self.topk_k is None or self.k_at(layer) is not None]


class RMSNorm(nn.Module):
    def __init__(self, d, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotary(n_ctx, d_head, theta):
    """cos and sin, each [n_ctx, d_head], halves repeated as transformers does."""
    frequency = theta ** -(torch.arange(0, d_head, 2, dtype=torch.float32) / d_head)
    angle = torch.outer(torch.arange(n_ctx, dtype=torch.float32), frequency)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], dim=-1) * sin


class Attention(nn.Module):
    """Causal attention. On a CPU it is written out: compiled, this is faster there than the fused kernels."""

    def __init__(self, c: ModelConfig):
        super().__init__()
        inner = c.n_heads * c.d_head
        self.heads, self.d_head = c.n_heads, c.d_head
        self.q_proj = nn.Linear(c.d_model, inner, bias=False)
        self.k_proj = nn.Linear(c.d_model, inner, bias=False)
        self.v_proj = nn.Linear(c.d_model, inner, bias=False)
        self.o_proj = nn.Linear(inner, c.d_model, bias=False)
        self.drop = 0.0  # share of what o_proj reads that a training step leaves out

    def projected(self, x, most):
        """q, k, v of x, each [B, T, inner]. `most`: how many entries of x may differ from 0 where the product is to be sparse."""
        parts = (self.q_proj, self.k_proj, self.v_proj)
        if most is None:
            return [p(x) for p in parts]
        y = sparse_product(x, torch.cat([p.weight for p in parts]), most)
        if torch.is_autocast_enabled("cpu"):
            y = y.to(torch.get_autocast_dtype("cpu"))
        return y.chunk(3, dim=-1)

    def forward(self, x, cos, sin, mask, most=None):
        B, T, _ = x.shape
        q, k, v = (p.view(B, T, self.heads, self.d_head).transpose(1, 2) for p in self.projected(x, most))
        q, k = rotate(q, cos, sin).to(v.dtype), rotate(k, cos, sin).to(v.dtype)
        if x.is_cuda:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return self.o_proj(self.dropped(mixed.transpose(1, 2).reshape(B, T, -1)))
        scores = (q @ k.transpose(-1, -2)).float() * self.d_head**-0.5
        pattern = (scores + mask).softmax(-1).to(v.dtype)
        return self.o_proj(self.dropped((pattern @ v).transpose(1, 2).reshape(B, T, -1)))

    def dropped(self, x):
        return F.dropout(x, self.drop, self.training) if self.drop else x


class MLP(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(c.d_model, c.d_mlp, bias=False)
        self.up_proj = nn.Linear(c.d_model, c.d_mlp, bias=False)
        self.down_proj = nn.Linear(c.d_mlp, c.d_model, bias=False)
        self.drop = 0.0  # share of what down_proj reads that a training step leaves out

    def forward(self, x):
        inner = F.silu(self.gate_proj(x)) * self.up_proj(x)
        return self.down_proj(F.dropout(inner, self.drop, self.training) if self.drop else inner)


def below_cut(x, kept):
    """How far idle neurons are below the cut where they are nearest to it, mean over all neurons of a block (others count 0); x [B, T, d] before
    and `kept` after the cut. The positions are divided into NEAREST parts, in each of which a neuron counts at the one where it is nearest,
    in units of the root mean square of the stream there. Trained down, it comes among the active ones, where the loss on text then reaches it
    (as the auxiliary loss of sparse autoencoders does for dead features, Gao et al., arXiv 2406.04093, which has a target that a stream lacks)."""
    x, kept = x.flatten(0, 1), kept.detach().flatten(0, 1)
    least = torch.where(kept > 0, kept, torch.inf).amin(-1, keepdim=True)
    scale = x.detach().pow(2).mean(-1, keepdim=True).clamp_min(1e-12).rsqrt()
    gap = (least - x) * scale  # infinite at a position with nothing above 0, which has no bound; a part of such alone asks for nothing
    nearest = gap[: len(gap) // NEAREST * NEAREST].unflatten(0, (NEAREST, -1)).amin(1).nan_to_num(0.0, 0.0, 0.0).relu()
    idle = (kept > 0).sum(0) <= len(kept) / IDLE
    return (nearest.mean(0) * idle).mean()


class Block(nn.Module):
    def __init__(self, c: ModelConfig, layer: int):
        super().__init__()
        self.input_layernorm = RMSNorm(c.d_model, c.norm_eps)
        self.self_attn = Attention(c)
        self.post_attention_layernorm = RMSNorm(c.d_model, c.norm_eps)
        self.mlp = MLP(c)
        self.k, self.select, self.post = c.k_at(layer), c.topk_select, c.topk_post
        # How many entries of the input are kept by the cut before it; None where there is none.
        self.k_in = c.k_at(layer - 1) if layer else c.topk_k if c.topk_embed else None
        self.sparse = False  # whether the products behind that cut are computed by sparse.c

    def forward(self, x, cos, sin, mask, k, idle=False):
        """x [B, T, d] f32 -> the next residual stream; `k` overrides the block's own while it is annealed. With `idle` also `below_cut`, 0 for a
        block that is not cut."""
        most = (k or self.k_in) if self.sparse and self.k_in is not None else None
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask, most).float()
        x = x + self.mlp(self.post_attention_layernorm(x)).float()
        kept = topk_cut(x, self.k if k is None or self.k is None else k, self.select, self.post)
        if not idle:
            return kept
        return kept, x.new_zeros(()) if self.k is None else below_cut(x, kept)


class Trunk(nn.Module):
    def __init__(self, c: ModelConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(c.d_vocab, c.d_model)
        self.layers = nn.ModuleList(Block(c, layer) for layer in range(c.n_layers))
        self.norm = RMSNorm(c.d_model, c.norm_eps)


def following(targets, count):
    """The `count` tokens from each position of targets [B, T] on, and what each weighs, both [B, T, count]: those of the same document
    (the first always counts, also where it is the BOS that ends the document) weigh the same, and 1 in all."""
    ahead = F.pad(targets, (0, count - 1), value=BOS).unfold(1, count, 1)
    own = (ahead != BOS).cumprod(-1)[..., 1:]
    weight = torch.cat([torch.ones_like(own[..., :1]), own], -1).float()
    return ahead, weight / weight.sum(-1, keepdim=True)


class TopKLM(nn.Module):
    """ids [B, T] -> logits [B, T, V]."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        self.lm_head = nn.Linear(config.d_model, config.d_vocab, bias=False)
        if config.tied:
            self.lm_head.weight = self.model.embed_tokens.weight
        cos, sin = rotary(config.n_ctx, config.d_head, config.rope_theta)
        causal = torch.full((config.n_ctx, config.n_ctx), float("-inf")).triu(1)
        # `unigram`: log p of each token by itself [V], for `outward`; the trainer sets it.
        for name, value in (("cos", cos), ("sin", sin), ("causal", causal), ("unigram", torch.zeros(config.d_vocab))):
            self.register_buffer(name, value, persistent=False)

    def init_weights(self, seed: int):
        """Normal(0, 0.02); what writes into the stream is divided by √(2L). The cut plays no part: a dense base and
        its TopK twin of the same seed start from the same weights. An untied head begins as a copy of the embedding, so that a
        neuron writes at first what it reads."""
        generator = torch.Generator().manual_seed(seed)
        for name, p in self.named_parameters():
            if p.ndim < 2:
                continue
            writes = name.endswith(("o_proj.weight", "down_proj.weight"))
            std = 0.02 / (2 * self.config.n_layers) ** 0.5 if writes else 0.02
            with torch.no_grad():
                # On the CPU, whose numbers are the same wherever the model is.
                p.copy_(torch.empty(p.shape, device="cpu").normal_(0, std, generator=generator))
        if not self.config.tied:
            with torch.no_grad():
                self.lm_head.weight.copy_(self.model.embed_tokens.weight)
        return self

    def use_dropout(self, share: float):
        """Leaves out so much of what attention and MLP write from, while `training`: of their inner activations, not of neurons, which
        would learn to stand in for each other."""
        for block in self.model.layers:
            block.self_attn.drop = block.mlp.drop = share
        return self

    def use_sparse(self, sparse: bool):
        """Whether q, k and v behind a cut are computed from the kept entries alone (CPU, f32)."""
        for block in self.model.layers:
            block.sparse = sparse
        return self

    def embed(self, ids, k=None):
        """What block 0 reads, [B, T, d] f32: the embedding, cut where the config says so."""
        x = self.model.embed_tokens(ids).float()
        c = self.config
        return topk_cut(x, k or c.topk_k, c.topk_select, c.topk_post) if c.topk_embed else x

    def stream(self, ids, k=None, edit=None, idle=None):
        """The residual stream after every block, a list of L tensors [B, T, d]. `edit(layer, x) -> x` may change each. A list `idle` is
        given `below_cut` of every block."""
        T = ids.shape[1]
        x = self.embed(ids, k)
        cos, sin, mask = self.cos[:T], self.sin[:T], self.causal[:T, :T]
        out = []
        for layer, block in enumerate(self.model.layers):
            if idle is None:
                x = block(x, cos, sin, mask, k)
            else:
                x, below = block(x, cos, sin, mask, k, True)
                idle.append(below)
            if edit is not None:
                x = edit(layer, x)
            out.append(x)
        return out

    def onward(self, x, first, until=None):
        """What the blocks from number `first` on, before `until`, make of the stream x [B, T, d] that the first of them reads: the stream after
        the last."""
        T = x.shape[1]
        for block in self.model.layers[first:until]:
            x = block(x, self.cos[:T], self.sin[:T], self.causal[:T, :T], None)
        return x

    def logits(self, x):
        """Of the next token behind final states x [..., d]."""
        return self.lm_head(self.model.norm(x))

    def outward(self, streams, targets):
        """How badly single neurons foretell the next token, and how badly the next LASTING tokens of the document, each in nats a token,
        mean over the cut blocks. At every OUTWARD_EVERY-th position the neuron that is nearest to its largest value of the batch speaks
        alone: what it adds to the logits through final norm and head, on top of each token's own frequency. Trained down, what a neuron
        promotes is what follows its strongest activations, at once or for some time."""
        after, weight = following(targets, LASTING)
        after, weight = after.flatten(0, 1)[::OUTWARD_EVERY], weight.flatten(0, 1)[::OUTWARD_EVERY]
        norm, losses = self.model.norm, []
        for layer, x in enumerate(streams):
            if self.config.k_at(layer) is None:
                continue
            x = x.flatten(0, 1)
            largest = x.detach().amax(0).clamp_min(1e-6)
            rows = x[::OUTWARD_EVERY]
            index = (rows.detach() / largest).argmax(-1)
            scale = rows.gather(1, index[:, None]) * torch.rsqrt(rows.pow(2).mean(-1, keepdim=True) + norm.eps)
            logits = self.unigram + scale * norm.weight[index, None] * self.lm_head.weight.t()[index]
            nats = -logits.float().log_softmax(-1).gather(1, after)
            losses.append(torch.stack([nats[:, 0].mean(), (nats * weight).sum(1).mean()]))
        return torch.stack(losses).mean(0)

    def forward(self, ids, targets=None, k=None, outward=0.0, lasting=0.0, revive=0.0):
        """Logits [B, T, V]; with `targets` [B, T] the mean loss in nats a token instead, plus `outward` times the first and `lasting`
        times the second of the losses of `TopKLM.outward`, and `revive` times `below_cut`, summed over the blocks."""
        below = [] if revive else None
        streams = self.stream(ids, k, idle=below)
        logits = self.logits(streams[-1])
        if targets is None:
            return logits
        loss = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
        if revive:
            loss = loss + revive * torch.stack(below).sum()
        if not (outward or lasting):
            return loss
        once, long = self.outward(streams, targets)
        return loss + outward * once + lasting * long
