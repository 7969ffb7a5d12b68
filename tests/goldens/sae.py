"""Sparse autoencoders as SAELens computes them, in numpy: encode, decode, and what an attached one does to a model.

Everything is computed in the dtype of the input, so that a copy in f64 tells what rounding does. `margin` is how far a
choice (of k features, of a feature above its threshold, of the next one of a pursuit) was from another.
"""

import json

import numpy as np
from safetensors.numpy import load_file

from reference import in_positions

EPS = 1e-5


class Sae:
    """A folder with `cfg.json` and `sae_weights.safetensors`."""

    def __init__(self, folder):
        self.cfg = modern(json.loads((folder / "cfg.json").read_text()))
        self.weights = load_file(folder / "sae_weights.safetensors")
        self.hook = self.cfg["metadata"]["hook_name"]
        self.margin = np.inf

    def _weight(self, name, like):
        return self.weights[name].astype(like.dtype)

    def normalize(self, x):
        """x [T, d_in] normalised, and the function that takes that back from an output."""
        kind = self.cfg["normalize_activations"]
        if kind == "layer_norm":
            mean = x.mean(-1, keepdims=True)
            std = x.std(-1, ddof=1, keepdims=True)
            return (x - mean) / (std + x.dtype.type(EPS)), lambda out: out * std + mean
        if kind == "constant_norm_rescale":
            factor = x.dtype.type(np.sqrt(x.shape[-1])) / np.linalg.norm(x, axis=-1, keepdims=True)
            return x * factor, lambda out: out / factor
        return x, lambda out: out

    def encode(self, x):
        """Feature activations [T, d_sae] of x [T, d_in]; lowers `margin` where a choice was nearer than that."""
        x, _ = self.normalize(x)
        if self.cfg["apply_b_dec_to_input"]:
            x = x - self._weight("b_dec", x)
        architecture = self.cfg["architecture"]
        if architecture == "matching_pursuit":
            return self._pursue(x)
        pre = x @ self._weight("W_enc", x) + self._weight("b_enc", x)
        if self.cfg.get("rescale_acts_by_decoder_norm", False):
            pre = pre * self._decoder_norm(x)
        positive = np.maximum(pre, 0)
        if architecture == "standard":
            return positive
        if architecture == "jumprelu":
            threshold = self._weight("threshold", x)
            self._note(np.abs(pre - threshold)[np.broadcast_to(threshold > 0, pre.shape)])
            return positive * (pre > threshold)  # NaN stays, as in SAELens
        if architecture == "topk":
            k = self.cfg["k"]
            ranked = -np.sort(-positive, axis=-1)
            # Below k positive entries nothing is chosen.
            self._note((ranked[:, k - 1] - ranked[:, k])[ranked[:, k - 1] > 0])
            keep = np.zeros(pre.shape, dtype=bool)
            np.put_along_axis(keep, np.argsort(-pre, axis=-1, kind="stable")[:, :k], True, axis=-1)
            return np.where(keep | np.isnan(pre), positive, 0).astype(x.dtype)
        raise ValueError(f"no such architecture: {architecture}")

    def _decoder_norm(self, like):
        return np.linalg.norm(self._weight("W_dec", like), axis=-1)

    def _pursue(self, x):
        """Again and again the feature that the rest has most of, until little is left or nothing new comes."""
        cfg, w_dec = self.cfg, self._weight("W_dec", x)
        rest, acts, done = x.copy(), np.zeros((len(x), len(w_dec)), x.dtype), np.zeros(len(x), dtype=bool)
        before = np.zeros(acts.shape, dtype=bool)
        rows = np.arange(len(x))
        for _ in range(cfg.get("max_iterations") or x.shape[-1]):
            scores = np.maximum(rest @ w_dec.T, 0)
            best = scores.argmax(-1)
            ranked = np.sort(scores, axis=-1)
            self._note((ranked[:, -1] - ranked[:, -2])[~done])
            value = np.where(done, 0, scores[rows, best]).astype(x.dtype)
            acts[rows, best] += value
            rest = rest - value[:, None] * w_dec[best]
            support = acts != 0
            if cfg.get("stop_on_duplicate_support", True):
                done = done | (support == before).all(-1)
                before = support
            threshold = cfg.get("residual_threshold", 1e-2)
            if threshold > 0:
                norm = np.linalg.norm(rest, axis=-1)
                self._note(np.abs(norm - threshold)[~done])
                done = done | (norm < threshold)
            if done.all():
                break
        return acts

    def _note(self, margins):
        self.margin = min(self.margin, float(margins.min(initial=np.inf)))

    def decode(self, acts, x):
        """(hook_sae_recons, what it means in the units of x): both [T, d_in]."""
        if self.cfg.get("rescale_acts_by_decoder_norm", False):
            acts = acts / self._decoder_norm(x)
        recons = acts @ self._weight("W_dec", x)
        # A pursuit has the bias at both ends or at none.
        if self.cfg["architecture"] != "matching_pursuit" or self.cfg["apply_b_dec_to_input"]:
            recons = recons + self._weight("b_dec", x)
        return recons, self.normalize(x)[1](recons)


def modern(cfg):
    """A config as SAELens 6 writes it, from one that may be older."""
    if "metadata" in cfg:
        return cfg
    cfg = {"architecture": "standard", "apply_b_dec_to_input": True} | cfg
    if cfg.get("activation_fn_str", cfg.get("activation_fn")) == "topk":
        cfg |= {"architecture": "topk", "k": cfg["activation_fn_kwargs"]["k"]}
    return cfg | {
        "normalize_activations": cfg.get("normalize_activations") or "none",
        "metadata": {"hook_name": cfg["hook_name"]},
    }


class Attached:
    """One SAE in one run: a splice for `Reference.run`, and what it saw."""

    def __init__(self, sae, edits, error_term, prompt_len):
        self.sae, self.error_term, self.prompt_len = sae, error_term, prompt_len
        self.edits = [edit for edit in edits if edit["sae"] == sae.hook]
        self.hooks = {}

    def __call__(self, x):
        clean = self.sae.encode(x)
        acts = clean.copy()
        for edit in self.edits:
            rows = in_positions(edit["positions"], np.arange(len(x)), self.prompt_len)
            apply_edit(acts, edit, rows)
        recons, out = self.sae.decode(acts, x)
        name = f"{self.sae.hook}.hook_sae_"
        self.hooks = {name + "acts_post": acts, name + "recons": recons, name + "input": x.copy()}
        if self.error_term:
            error = x - self.sae.decode(clean, x)[1]
            self.hooks[name + "error"] = error
            out = out + error
        self.out = out.astype(x.dtype)
        return self.out


def apply_edit(x, edit, rows):
    """As an edit of a neuron."""
    value = x.dtype.type(np.float32(edit.get("value", 0)))
    old = x[rows, edit["index"]]
    x[rows, edit["index"]] = {"add": old + value, "scale": old * value, "clamp": value, "ablate": value}[edit["action"]]
