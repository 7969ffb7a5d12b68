"""TopK language models in transformers: the model classes with the TopK activation behind each block but the last `n_nontopk`.

    from transformers import AutoModelForCausalLM, AutoTokenizer
    model = AutoModelForCausalLM.from_pretrained(FOLDER, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)

transformers finds this file by the `auto_map` of config.json. Without `trust_remote_code=True` it silently runs the same weights *without* the TopK activation, and
writes nonsense. The file stands alone, so that it can lie in a model folder: `topklm.export` writes it there, byte for byte.

A TopK block has a submodule `topk` without weights: its input is TransformerLens' `hook_topk_in`, its output `hook_topk_out`. PyTorch's own hooks on it read and edit
neurons: a forward pre-hook before they compete, a forward hook after.
"""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn
from transformers import (
    AutoConfig,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    GPT2LMHeadModel,
    GPTNeoForCausalLM,
    GPTNeoXForCausalLM,
    GenerationConfig,
    LlamaForCausalLM,
    MistralForCausalLM,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
)

_INTEGER = {torch.float16: torch.int16, torch.bfloat16: torch.int16, torch.float32: torch.int32, torch.float64: torch.int64}


def rank_keys(x: torch.Tensor, select: str) -> torch.Tensor:
    """Signed integers that order as the selection does: the value, or its magnitude for "abs"; -0 is 0, and NaN is above +inf."""
    bits = x.detach().contiguous().view(_INTEGER[x.dtype])
    top = torch.iinfo(bits.dtype).max
    magnitude = bits & top
    key = magnitude if select == "abs" else torch.where(bits < 0, -magnitude, magnitude)
    return torch.where(x.isnan(), top, key)


def topk_select(x: torch.Tensor, k: int, select: str = "value") -> torch.Tensor:
    """Indices [..., k] of the k first entries of each row of x [..., n] by rank: key descending, then index ascending."""
    return torch.sort(rank_keys(x, select), dim=-1, descending=True, stable=True).indices[..., :k]


class TopK(nn.Module):
    """The activation: x [..., d] with all but the k selected entries of a row set to 0. Gradients flow through the kept ones."""

    def __init__(self, k: int, select: str = "value", post: str = "identity"):
        super().__init__()
        self.k, self.select, self.post = k, select, post

    def extra_repr(self) -> str:
        return f"k={self.k}, select={self.select!r}, post={self.post!r}"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.k >= x.shape[-1]:
            return x
        keep = torch.zeros_like(x, dtype=torch.bool).scatter_(-1, topk_select(x, self.k, self.select), True)
        x = torch.where(keep, x, torch.zeros_like(x))
        return x.relu() if self.post == "relu" else x


def _checked(config):
    """(k, number of TopK blocks, select, post, whether the embedding is cut too); k is None in a dense model."""

    def given(key, default):
        value = getattr(config, key, None)
        return default if value is None else value

    def one_of(key, values):
        value = given(key, values[0])
        if value not in values:
            raise ValueError(f"config.json: {key} must be one of {', '.join(map(repr, values))}, not {value!r}.")
        return value

    def whole(key, default, least, most=None):
        value = given(key, default)
        if value is not None and (type(value) is not int or value < least or (most is not None and value > most)):
            reach = f"at least {least}" if most is None else f"from {least} to {most}"
            raise ValueError(f"config.json: {key} must be a whole number {reach}, not {value!r}.")
        return value

    layers = config.num_hidden_layers
    cut = layers - whole("n_nontopk", 0, 0, layers)
    select, post = one_of("topk_select", ("value", "abs")), one_of("topk_post", ("identity", "relu"))
    return whole("topk_k", None, 1), cut, select, post, given("topk_embed", False)


def _cut_block(block, _args, out):
    """A forward hook: what the next block reads is the TopK of this one's output, which is a tensor or a tuple that begins with it."""
    return (block.topk(out[0]), *out[1:]) if isinstance(out, tuple) else block.topk(out)


def _widened(folder):
    """
    The tensors of a folder with 8-bit weights in f32: `NAME` I8 [out, in] and `NAME.scale` F32 [out] mean q · scale. None of any other.
    GPT-2 stores what is in its blocks as [in, out].
    """
    files = sorted(Path(folder).glob("model*.safetensors")) if Path(folder).is_dir() else []
    names = {}
    for file in files:
        with safe_open(file, "pt") as stored:
            names[file] = list(stored.keys())
    if not any(name.endswith(".scale") for of_file in names.values() for name in of_file):
        return None
    tensors = {}
    for file, of_file in names.items():
        with safe_open(file, "pt") as stored:
            tensors |= {name: stored.get_tensor(name) for name in of_file}
    scales = {name: tensors.pop(name) for name in [*tensors] if name.endswith(".scale")}
    is_gpt2 = json.loads((Path(folder) / "config.json").read_text("utf8")).get("model_type") == "gpt2"

    def widened(name, x):
        scale = scales.get(f"{name}.scale")
        if scale is None:
            return x.float()
        return x.float() * (scale if is_gpt2 and ".h." in f".{name}" else scale[:, None])

    return {name: widened(name, x) for name, x in tensors.items()}


class TopKMixin:
    """Puts the TopK activation of the config behind the blocks of a causal language model of transformers, and widens 8-bit weights."""

    @classmethod
    def from_pretrained(cls, folder, *args, **kwargs):
        weights = _widened(folder) if folder and "state_dict" not in kwargs else None
        if weights is None:
            wanted = kwargs.pop("output_loading_info", False)
            model, info = super().from_pretrained(folder, *args, output_loading_info=True, **kwargs)
            if any(name.endswith(".scale") for name in info["unexpected_keys"]):  # by the name of a hub, or in a subfolder
                raise ValueError(f"{folder} has 8-bit weights, which are widened where they lie in a folder: download it, and give that folder's path.")
            return (model, info) if wanted else model
        config = kwargs.pop("config", None) or AutoConfig.from_pretrained(folder)
        # transformers looks for it in a folder, and gets none here.
        if (Path(folder) / "generation_config.json").exists():
            kwargs.setdefault("generation_config", GenerationConfig.from_pretrained(folder))
        return super().from_pretrained(None, *args, config=config, state_dict=weights, **kwargs)

    def __init__(self, config, *args, **kwargs):
        k, cut, select, post, embed = _checked(config)
        super().__init__(config, *args, **kwargs)
        if k is None:
            return
        core = self.base_model
        blocks = core.layers if hasattr(core, "layers") else core.h
        for block in blocks[:cut]:
            block.topk = TopK(k, select, post)
            block.register_forward_hook(_cut_block)
        if embed:
            activation = TopK(k, select, post)
            self.get_input_embeddings().register_forward_hook(lambda _module, _args, out: activation(out))


class TopKLlamaForCausalLM(TopKMixin, LlamaForCausalLM):
    pass


class TopKMistralForCausalLM(TopKMixin, MistralForCausalLM):
    pass


class TopKGPT2LMHeadModel(TopKMixin, GPT2LMHeadModel):
    pass


class TopKGPTNeoForCausalLM(TopKMixin, GPTNeoForCausalLM):
    pass


class TopKGPTNeoXForCausalLM(TopKMixin, GPTNeoXForCausalLM):
    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        # transformers 5 renamed the head; it renames the stored tensor for its own classes only.
        return super().from_pretrained(*args, **({"key_mapping": {r"^embed_out\.": "lm_head."}} | kwargs))


class TopKQwen2ForCausalLM(TopKMixin, Qwen2ForCausalLM):
    pass


class TopKQwen3ForCausalLM(TopKMixin, Qwen3ForCausalLM):
    pass


class TopKGemma2ForCausalLM(TopKMixin, Gemma2ForCausalLM):
    pass


class TopKGemma3ForCausalLM(TopKMixin, Gemma3ForCausalLM):
    pass
