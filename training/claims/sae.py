"""Trains sparse autoencoders on the dense twin's stream, for comparison: the thing that a TopK model replaces.

    python -m claims.sae --data DATA --out DIR [--kind topk|jumprelu] [--layer 2] [--k K] [--times 8] [--seed 1] [--positions 1000000]
    python -m claims.sae --data DATA --out DIR --every      both kinds, k and half of it, at every block; a second seed behind the last TopK block

DIR becomes a folder in SAELens' layout, which the engine and the site attach; each run adds its figures to results/sae.json under the
folder's name; with --every each has a folder in DIR, and those that are there already, of the same twin, width and positions, are kept.
Trained on the training text (never on held-out text) with unit-norm decoder rows and Adam.

topk      the k largest codes of a position, by the TopK ranking, and ReLU after it; features that have not been active for a while
          learn from what the others leave over (`AuxK`, Gao et al. 2024, arXiv 2406.04093)
jumprelu  a threshold for each feature, learned by straight-through estimates with a penalty on the distance of the mean number
          of active features to k (Rajamanoharan et al. 2024, arXiv 2407.14435)

On held-out text we report the variance explained, the share of dead features, active features a position, and the loss with the
reconstruction spliced in. Position 0 (BOS alone, always the same) is neither trained on nor replaced.
"""

import json
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from topklm import precision
from topklm.data import Packed, evaluation_windows
from topklm.export import read_weights, write_whole
from topklm.topk import topk_cut

from . import common

KINDS = ("topk", "jumprelu")
# JumpReLU's, in units of the codes: half the width of the kernel that stands for the step's derivative, and the penalty's weight.
BANDWIDTH, SPARSITY = 0.5, 0.05
# TopK's: a feature is dead after so many positions without activity; so many of the dead ones explain the rest, with this weight.
DEAD_AFTER, AUX_K, AUX_WEIGHT = 200_000, 256, 1 / 32
# Most positions of a step: a model with longer windows is given as many steps.
BATCH = 4096


def products():
    """Matrix products in the type that this machine multiplies faster."""
    return torch.autocast(torch.get_default_device().type, torch.bfloat16, enabled=type_of_products() == "bf16")


@lru_cache(maxsize=1)
def type_of_products() -> str:
    return precision.choose(precision.measure(torch.get_default_device().type), "auto").products


class Jump(torch.autograd.Function):
    """z · 1[z > θ], with the straight-through estimate of θ's gradient (a rectangle of width 2 · BANDWIDTH)."""

    @staticmethod
    def forward(ctx, z, threshold):
        ctx.save_for_backward(z, threshold)
        return z * (z > threshold)

    @staticmethod
    def backward(ctx, grad):
        z, threshold = ctx.saved_tensors
        near = (z - threshold).abs() < BANDWIDTH
        return grad * (z > threshold), -(threshold / (2 * BANDWIDTH)) * (grad * near).sum(0)


class Count(torch.autograd.Function):
    """1[z > θ] with the same estimate; nothing flows to z."""

    @staticmethod
    def forward(ctx, z, threshold):
        ctx.save_for_backward(z, threshold)
        return (z > threshold).to(z.dtype)

    @staticmethod
    def backward(ctx, grad):
        z, threshold = ctx.saved_tensors
        near = (z - threshold).abs() < BANDWIDTH
        return None, -(1 / (2 * BANDWIDTH)) * (grad * near).sum(0)


class SAE(nn.Module):
    """x [N, d] of the stream -> codes [N, F] -> reconstruction. Codes are in units of `scale` (the stream's standard deviation)."""

    def __init__(self, d: int, width: int, k: int, layer: int, seed: int = 1, kind: str = "topk"):
        super().__init__()
        self.k, self.layer, self.kind = k, layer, kind
        decoder = common.normal((width, d), seed)
        self.decoder = nn.Parameter(decoder / decoder.norm(dim=1, keepdim=True))
        self.encoder = nn.Parameter(self.decoder.detach().clone())
        self.bias = nn.Parameter(torch.zeros(width))
        self.threshold = nn.Parameter(torch.zeros(width)) if kind == "jumprelu" else None
        self.register_buffer("mean", torch.zeros(d))
        self.register_buffer("scale", torch.ones(()))

    def before(self, x):
        """Codes before the cut."""
        return (x - self.mean) / self.scale @ self.encoder.T + self.bias

    def encode(self, x):
        z = self.before(x)
        return topk_cut(z, self.k, post="relu") if self.threshold is None else Jump.apply(z, self.threshold)

    def decode(self, codes):
        return codes @ self.decoder * self.scale + self.mean

    @torch.no_grad()
    def begin(self, x):
        """Takes mean, scale and, of a JumpReLU, the first thresholds from some of the stream: about k features are active."""
        self.mean.copy_(x.mean(0))
        self.scale.copy_((x - self.mean).pow(2).mean().sqrt())
        if self.threshold is not None:
            z = self.before(x[:512])
            self.threshold.fill_(z.flatten().kthvalue(z.numel() - self.k * len(z)).values.clamp(min=0.05).item())

    @torch.no_grad()
    def settle(self):
        """After a step of the optimizer: decoder rows of unit length, thresholds not below 0."""
        self.decoder /= self.decoder.norm(dim=1, keepdim=True)
        if self.threshold is not None:
            self.threshold.clamp_(min=0.0)

    def directions(self) -> torch.Tensor:
        """Decoder rows [F, d], unit length; an activation of `largest` is a multiple of them in the stream's own units."""
        return self.decoder.detach()

    @torch.no_grad()
    def largest(self, model, windows, batch=32):
        """The largest activation of every feature over ids [n, T], in the stream's units; position 0 is left out."""
        top = torch.zeros(len(self.decoder))
        for at in range(0, len(windows), batch):
            x = stream_at(model, windows[at : at + batch], self.layer)[:, 1:].flatten(0, 1)
            top = torch.maximum(top, self.encode(x).amax(0) * self.scale)
        return top.numpy(force=True)

    def save(self, folder: Path, trained: dict | None = None):
        """SAELens' layout: pre = (x − b_dec) W_enc + b_enc, x̂ = codes W_dec + b_dec. `trained` says on what, and goes into its metadata."""
        folder.mkdir(parents=True, exist_ok=True)
        width, d = self.decoder.shape
        config = {
            "architecture": self.kind,
            "d_in": d,
            "d_sae": width,
            "dtype": "float32",
            "apply_b_dec_to_input": True,
            "normalize_activations": "none",
            "metadata": {"hook_name": f"blocks.{self.layer}.hook_resid_post", "k_target": self.k} | (trained or {}),
        } | ({"k": self.k} if self.threshold is None else {})
        tensors = {
            "W_enc": self.encoder.T / self.scale,
            "b_enc": self.bias,
            "W_dec": self.decoder * self.scale,
            "b_dec": self.mean,
        } | ({} if self.threshold is None else {"threshold": self.threshold})
        save_file({n: t.detach().contiguous() for n, t in tensors.items()}, folder / "sae_weights.safetensors")
        write_whole(folder / "cfg.json", json.dumps(config, indent=1) + "\n")  # last: where it is, all is

    @classmethod
    def load(cls, folder: Path):
        config, tensors = json.loads((folder / "cfg.json").read_text()), read_weights(folder / "sae_weights.safetensors")
        about = config["metadata"]
        sae = cls(config["d_in"], config["d_sae"], about["k_target"], int(about["hook_name"].split(".")[1]), kind=config["architecture"])
        scale = tensors["W_dec"].norm(dim=1).mean()
        state = {
            "encoder": tensors["W_enc"].T * scale,
            "decoder": tensors["W_dec"] / scale,
            "bias": tensors["b_enc"],
            "mean": tensors["b_dec"],
            "scale": scale,
        } | ({"threshold": tensors["threshold"]} if "threshold" in tensors else {})
        sae.load_state_dict(state)
        return sae.requires_grad_(False)


@torch.no_grad()
def stream_at(model, ids, layer):
    """The stream [B, T, d] after block `layer`, computing no further."""
    return model.onward(model.embed(ids), 0, layer + 1).float()


def loss(sae, x, silent):
    """(squared error with its penalties, the error alone, codes) of x [N, d]; silent [F]: positions since a feature was active."""
    target = (x - sae.mean) / sae.scale
    with products():
        z = (target @ sae.encoder.T).float() + sae.bias
    if sae.threshold is not None:
        codes = Jump.apply(z, sae.threshold)
        off = Count.apply(z, sae.threshold).sum(-1).mean() / sae.k - 1
        with products():
            rest = (codes @ sae.decoder).float() - target
        error = rest.pow(2).sum(-1).mean()
        return error + SPARSITY * off.pow(2) * target.shape[1], error, codes
    codes = topk_cut(z, sae.k, post="relu")
    with products():
        rest = (codes @ sae.decoder).float() - target
    error = rest.pow(2).sum(-1).mean()
    dead = (silent > DEAD_AFTER).nonzero()[:, 0]
    if not len(dead):
        return error, error, codes
    extra = topk_cut(z[:, dead], min(AUX_K, len(dead)), post="relu")
    aux = (extra @ sae.decoder[dead] + rest.detach()).pow(2).sum(-1).mean()
    return error + AUX_WEIGHT * aux, error, codes


def train(model, packed, layer, k, width, positions, lr=2e-3, sequences=16, say=None, seed=1, kind="topk"):
    """An SAE after `positions` positions of the training text; batches of `sequences` windows of n_ctx, but of at most `BATCH` positions."""
    sae = SAE(model.config.d_model, width, k, layer, seed, kind)
    sequences = max(1, min(sequences, BATCH // model.config.n_ctx))
    steps = max(1, positions // (sequences * model.config.n_ctx))
    adam = torch.optim.Adam(sae.parameters(), lr=lr, betas=(0.9, 0.99))
    silent = torch.zeros(width)
    for step in range(steps):
        ids = torch.as_tensor(packed.windows(step * sequences, sequences)[:, :-1].copy())
        # A window of the training text begins anywhere; it is given the BOS that evaluation windows have.
        ids[:, 0] = 0
        with products():
            x = stream_at(model, ids, layer)[:, 1:].flatten(0, 1)
        if step == 0:
            sae.begin(x)
        for group in adam.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / 20, (steps - step) / (0.3 * steps))
        total, error, codes = loss(sae, x, silent)
        adam.zero_grad()
        total.backward()
        adam.step()
        sae.settle()
        silent = torch.where((codes != 0).any(0), 0.0, silent + len(x))
        if say and step % 20 == 0:
            unexplained = error.item() * sae.scale.item() ** 2 / (x - sae.mean).pow(2).sum(-1).mean().item()
            active = (codes != 0).sum().item() / len(x)
            say(f"step {step}/{steps}  unexplained {unexplained:.3f}  active {active:.1f}", flush=True)
    return sae.requires_grad_(False)


@torch.no_grad()
def measure(model, sae, windows, batch=32):
    """Variance explained, dead share, active features per position, and the loss in nats per token without and with the splice."""
    squares, spread, active, positions = 0.0, 0.0, torch.zeros(len(sae.decoder)), 0
    losses, targets = {"plain": 0.0, "spliced": 0.0}, 0
    for at in range(0, len(windows), batch):
        part = torch.as_tensor(windows[at : at + batch])
        real = (part[:, 1, 1:] >= 0).flatten()
        kept = {}

        def splice(layer, x):
            if layer != sae.layer:
                return x
            codes = sae.encode(x[:, 1:].flatten(0, 1))
            kept["x"], kept["codes"] = x[:, 1:].flatten(0, 1)[real], codes[real]
            return torch.cat([x[:, :1], sae.decode(codes).unflatten(0, (len(x), -1))], dim=1)

        for name, edit in (("plain", None), ("spliced", splice)):
            logits = model.logits(model.stream(part[:, 0], edit=edit)[-1])
            ce = torch.nn.functional.cross_entropy(logits.flatten(0, 1), part[:, 1].flatten(), ignore_index=-1, reduction="sum")
            losses[name] += ce.item()
        x, codes = kept["x"], kept["codes"]
        squares += (sae.decode(codes) - x).pow(2).sum().item()
        spread += (x - sae.mean).pow(2).sum().item()
        active += (codes != 0).sum(0)
        positions += len(x)
        targets += int((part[:, 1] >= 0).sum())
    plain, spliced = losses["plain"] / targets, losses["spliced"] / targets
    return {
        "positions": positions,
        "variance_explained": 1 - squares / spread,
        "dead_share": (active == 0).float().mean().item(),
        "active_a_position": active.sum().item() / positions,
        "loss": plain,
        "loss_spliced": spliced,
        "loss_added_by_splice": spliced - plain,
    }


def every(blocks: int, last: int, k: int) -> dict[str, tuple]:
    """Name -> (kind, block, k, seed) of all that --every trains: those behind block `last` first, whose names leave the block out."""
    found = {}
    for layer in [last, *(block for block in range(blocks) if block != last)]:
        at = "" if layer == last else f"-block{layer}"
        for kind in KINDS:
            for size in (k, max(1, k // 2)):
                found[f"{kind}-k{size}{at}"] = (kind, layer, size, 1)
        if layer == last:
            found[f"topk-k{k}-seed2"] = ("topk", layer, k, 2)
    return found


def is_there(folder: Path, width: int, trained: dict) -> bool:
    """Whether the folder has an SAE of this width that was trained on just that."""
    if not (folder / "cfg.json").exists():
        return False
    config = json.loads((folder / "cfg.json").read_text())
    return config["d_sae"] == width and trained.items() <= config["metadata"].items()


def main():
    p = common.parser(__doc__)
    p.add_argument("--out", type=Path, required=True, help="the SAE's folder; not part of the repository")
    p.add_argument("--kind", choices=KINDS, default="topk")
    p.add_argument("--layer", type=int, default=2)
    p.add_argument("--k", type=int, help="active features a position; default: topk_k of the TopK model")
    p.add_argument("--times", type=int, default=8, help="features: so many times the width of the stream")
    p.add_argument("--features", type=int, help="features in place of --times")
    p.add_argument("--seed", type=int, default=1, help="of the first decoder")
    p.add_argument("--positions", type=int, default=1_000_000)
    p.add_argument("--windows", type=int, default=120, help="held-out windows that it is measured on")
    p.add_argument("--every", action="store_true", help="one after the other, in folders of --out: all kinds and blocks, k and half of it, two seeds at one block")
    args = p.parse_args()
    common.start(args)
    topk, dense = common.subjects(args, args.data)
    common.same_tokens(topk, args.data)
    if dense is None:
        p.error("the SAE is trained on the dense twin: there is none yet")
    c = dense.model.config
    k = args.k or topk.model.config.topk_k
    source = json.loads((args.data / "report.json").read_text())["unique_tokens"]
    packed = Packed(args.data, c.n_ctx, seed=2)
    arrays = common.texts(args.data)
    windows = evaluation_windows(arrays["held_out.ids"], c.n_ctx, arrays["held_out.starts"])
    windows = windows[:: max(1, len(windows) // args.windows)]
    width = args.features or args.times * c.d_model
    trained = {"trained_positions": args.positions, "model_sha256": dense.about["sha256"]}
    wanted = {args.out: (args.kind, args.layer, k, args.seed)}
    if args.every:
        wanted = {args.out / name: one for name, one in every(c.n_layers, topk.cut_blocks[-1], k).items()}
        measured = common.read(args.results, "sae")
        wanted = {out: one for out, one in wanted.items() if not (out.name in measured and is_there(out, width, trained))}
    for out, (kind, layer, k, seed) in wanted.items():
        clock = common.Clock()
        print(out.name, flush=True)
        if args.every and is_there(out, width, trained):  # but cut off before it was measured
            sae = SAE.load(out)
        else:
            sae = train(dense.model, packed, layer, k, width, args.positions, say=print, seed=seed, kind=kind)
            earlier = common.read(args.results, "sae")
            if earlier.pop(out.name, None):  # of other weights: when this is cut off now, they are measured by the next call
                common.write(args.results, "sae", earlier)
            sae.save(out, trained)
        about = {"model": dense.about, "kind": kind, "layer": layer, "k": k, "width": width, "seed": seed, "trained_positions": args.positions}
        figures = measure(dense.model, sae, windows)
        # Another process may have stored others in the meantime.
        result = common.read(args.results, "sae") | {out.name: about | {"text_tokens": source} | figures | {"seconds": clock()}}
        common.write(args.results, "sae", result)


if __name__ == "__main__":
    common.run(main)
