"""The Llama architecture in PyTorch: embedding, blocks of attention and SwiGLU, tied output.

Weights carry their Hugging Face names, so that `slm.export` has nothing to translate.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """Sizes. Those of a matrix's rows are multiples of 256: llama.cpp's K-quants ask for it."""

    vocab_size: int = 4096
    hidden_size: int = 256
    intermediate_size: int = 768
    num_hidden_layers: int = 5
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    max_position_embeddings: int = 2048
    rope_theta: float = 100_000.0
    rms_norm_eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    as_dict = asdict


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position embedding, Hugging Face's layout: the two halves of a head are a pair."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention; q (batch, heads, length, size), k and v with fewer heads.

    On a CPU written out, with the heads that share their keys in one product: for the short
    conversations here that takes two thirds of the time of torch's own.
    """
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    batch, heads, length, size = q.shape
    groups = k.shape[1]
    q = q.reshape(batch, groups, -1, size)
    scores = (q @ k.transpose(2, 3)).view(batch, groups, -1, length, length).float()
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    shares = (scores * size**-0.5).masked_fill(future, float("-inf")).softmax(-1).to(v.dtype)
    return (shares.view(batch, groups, -1, length) @ v).view(batch, heads, length, size)


Look = tuple[Tensor, Tensor]  # an attention's queries and keys


class Attention(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        width, kv_width = config.hidden_size, config.num_key_value_heads * config.head_dim
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, kv_width, bias=False)
        self.v_proj = nn.Linear(width, kv_width, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def heads(self, projected: Tensor) -> Tensor:
        return projected.unflatten(2, (-1, self.config.head_dim)).transpose(1, 2)

    def look(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """Queries and keys: (batch, heads, length, size), fewer heads of keys."""
        q = rotate(self.heads(self.q_proj(x)), cos, sin)
        return q, rotate(self.heads(self.k_proj(x)), cos, sin)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Look]:
        q, k = self.look(x, cos, sin)
        y = attend(q, k, self.heads(self.v_proj(x)))
        return self.o_proj(y.transpose(1, 2).flatten(2)), (q, k)


class MLP(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Look]:
        attended, look = self.self_attn(self.input_layernorm(x), cos, sin)
        x = x + attended
        return x + self.mlp(self.post_attention_layernorm(x)), look


class Body(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)


class Llama(nn.Module):
    """Token ids (batch, length) to logits (batch, length, vocab_size)."""

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.model = Body(config)
        self.apply(self._initialise)
        positions = torch.arange(config.max_position_embeddings).float()
        powers = torch.arange(0, config.head_dim, 2).float() / config.head_dim
        angles = torch.outer(positions, config.rope_theta**-powers).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)

    def embed(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embeddings (batch, length, hidden_size), and the positions' cosines and sines."""
        x = self.model.embed_tokens(ids)
        return x, self.cos[: ids.shape[1]].to(x.dtype), self.sin[: ids.shape[1]].to(x.dtype)

    def hidden(self, ids: Tensor) -> tuple[Tensor, list[Look]]:
        """The last layer's states (batch, length, hidden_size), before the output matrix.

        And where each layer looks, for training to guide.
        """
        x, cos, sin = self.embed(ids)
        looks = []
        for layer in self.model.layers:
            x, look = layer(x, cos, sin)
            looks.append(look)
        return self.model.norm(x), looks

    def forward(self, ids: Tensor) -> Tensor:
        return F.linear(self.hidden(ids)[0], self.model.embed_tokens.weight)

    def count_parameters(self) -> int:
        return sum(weight.numel() for weight in self.parameters())
