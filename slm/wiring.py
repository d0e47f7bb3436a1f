"""Start weights that can already find and copy: circuits, written into four of the layers.

Nearly every argument of a call is copied from the request, and its name from a tool's line. A
network that starts from noise learns late to copy, and later to find what to copy: until then it
lowers its loss by guessing frequent words, and that is where it stays for millions of tokens. The
circuits are given, roughly, and trained on from there. Copying is that of Olsson et al.,
"In-context Learning and Induction Heads", 2022; finding is built alike.

* The first layer takes notes at each token, of what stood before it: the last token (head 0), the
  last few ones (1), and the words of the last lines, weighed as those of a request (2) and as those
  of a tool (3), see `slm.associations`.
* The second layer's head 0 notes the name that a tool's line begins with, where `slm.guidance`
  tells it to look.
* The third layer finds: head 0 a tool's line, whose words go with the request's, and says the name
  noted there; head 2 the place in the text that a value is copied from, and says what stands there.
* The last layer's head 0 goes on copying: it looks for the place before which the present token
  stood, and says what stands there.
"""

import torch
from torch import Tensor

from slm import tokenizer as text
from slm.associations import Associations
from slm.network import Config, Llama

CONSTANT = 4.0  # what every embedding has in coordinate 0, for heads that heed positions only
QUIET = 0.1  # factor of the other weights that write to the residual, which would drown the notes
EVEN = 3.0  # of a key, in each frequency, for heads that heed positions only
BEFORE = 4.0  # how sharply a head looks one token back
FEW, LINE = 2, 40  # tokens: how far back the heads look that take note of more than one
FALL = 1.5  # how steeply their look falls off beyond
MATCH = 4.0  # how sharply the last layer looks for the present token
AGREE = 2.0  # how sharply a tool is looked for
NOTE, SAY = 5.0, 16.0  # how loudly notes and sayings are written, against an embedding's own
FAR = 0.004  # radians a token; frequencies below it hardly turn over a conversation
LOUDNESS = 0.1  # of the output, so that probabilities start nearly even
NOTES, NAMES, PLACES, LAST = 0, 1, 2, -1  # layers


def angles(config: Config) -> Tensor:
    """Radians a token, of each pair of a head's coordinates."""
    pairs = config.head_dim // 2
    return config.rope_theta ** (-torch.arange(pairs) / pairs)


def steady(config: Config) -> Tensor:
    """A head's coordinates that heed content, since they hardly turn with the distance."""
    slow = (angles(config) < FAR).nonzero().squeeze(1)
    return torch.cat([slow, slow + config.head_dim // 2])


def rank(config: Config) -> int:
    """Of the associations that there is room for."""
    return min(len(steady(config)), config.head_dim // 2)


@torch.no_grad()
def wire(network: Llama, learnt: Associations) -> None:
    """Write the circuits into a fresh network.

    learnt: of the rank that `rank` gives. Raises ValueError for a network of fewer than 4 layers.
    """
    config = network.config
    if config.num_hidden_layers < 4:
        raise ValueError(f"circuits need 4 layers; the network has {config.num_hidden_layers}")
    layers = [layer.self_attn for layer in network.model.layers]
    width, size, pairs = config.hidden_size, config.head_dim, config.head_dim // 2
    group = config.num_attention_heads // config.num_key_value_heads
    turn, calm, wide = angles(config), steady(config), learnt.asked.shape[1]
    fine = torch.arange(wide)
    asked, offered, begin = 3 + fine, 3 + wide + fine, 3 + 2 * wide

    embedding = network.model.embed_tokens.weight
    embedding.normal_()
    embedding[:, 0] = CONSTANT
    embedding[:, 1], embedding[:, 2] = learnt.asked_weight, learnt.offered_weight
    embedding[:, asked], embedding[:, offered] = learnt.asked, learnt.offered
    network.model.norm.weight.fill_(LOUDNESS)
    for layer in network.model.layers:
        layer.self_attn.o_proj.weight *= QUIET
        layer.mlp.down_proj.weight *= QUIET

    # Directions of the residual, in rows: tokens are told apart by what an embedding has along the
    # first ones, the others hold the notes.
    directions = torch.zeros(width - begin, width)
    directions[:, begin:] = torch.linalg.qr(torch.randn(width - begin, width - begin))[0]
    token, last, name, few = directions.split(parts(width, begin))
    silent = text.load().token_to_id(text.START)  # where heads look that have nothing to find
    embedding[silent] -= token.T @ (token @ embedding[silent])

    def head(number: int, rows: Tensor | int | slice = slice(None)) -> Tensor:
        return number * size + torch.arange(size)[rows]

    keys, queries, values, outputs = (
        getattr(layers[NOTES], part).weight for part in ("k_proj", "q_proj", "v_proj", "o_proj")
    )
    keys *= QUIET
    queries *= QUIET
    values.zero_()
    even = torch.full((pairs,), EVEN / CONSTANT)
    for number in (0, 1):
        keys[head(number, slice(pairs)), 0] = even
    # One token back: the query is the key, turned back by one position.
    queries[head(0), 0] = 8 * BEFORE / EVEN * torch.cat([even * turn.cos(), -even * turn.sin()])
    for number, span in ((1, FEW), (group, LINE), (group + 1, LINE)):
        slow = torch.where(turn < 1 / span, 8 * FALL / EVEN / CONSTANT, 0.0)
        queries[head(number, slice(pairs)), 0] = slow
    for row in (-1, -2):  # a word's weight, by the slowest turns
        keys[head(1, row)] = 0
        keys[head(1, row), -row] = 1
        queries[head(group, row)] = queries[head(group + 1, row)] = 0
    for number, row in ((group, -1), (group + 1, -2)):
        queries[head(number, row), 0] = 8 / CONSTANT
    values[head(0, slice(len(token)))] = token
    outputs[:, head(0)] = NOTE * padded(last, size).T
    outputs[:, head(1)] = NOTE * padded(few, size).T
    both = torch.cat([asked, offered])
    values[head(1, slice(2 * wide)), both] = 1
    for number, which in ((group, fine), (group + 1, wide + fine)):
        outputs[:, head(number)] = 0
        outputs[both[which], head(number)[which]] = NOTE

    noting = layers[NAMES]
    noting.v_proj.weight[head(0)] = padded(token, size)
    noting.o_proj.weight[:, head(0)] = NOTE * padded(name, size).T

    finding = layers[PLACES]
    for weight in (finding.q_proj.weight, finding.k_proj.weight):
        weight.normal_(std=0.3 * width**-0.5)
        weight[head(0)] *= QUIET
        weight[head(0)[calm]] = 0
    finding.q_proj.weight[head(0)[calm[:wide]], asked] = AGREE
    finding.k_proj.weight[head(0)[calm[:wide]], offered] = AGREE
    finding.v_proj.weight[head(0)] = padded(name, size)
    finding.v_proj.weight[head(1)] = padded(token, size)
    finding.o_proj.weight[:, head(0)] = SAY / NOTE * padded(token[: len(name)], size).T
    finding.o_proj.weight[:, head(group)] = SAY * padded(token, size).T

    copying = layers[LAST]
    matched = min(len(calm), len(last))
    for weight, read in ((copying.q_proj.weight, token), (copying.k_proj.weight, last)):
        weight[head(0)] = 0
        weight[head(0)[calm[:matched]]] = MATCH * read[:matched]
    copying.v_proj.weight[head(0)] = padded(token, size)
    copying.o_proj.weight[:, head(0)] = SAY * padded(token, size).T


def parts(width: int, taken: int) -> list[int]:
    """Directions for: a token, the last token, a tool's name, the last few tokens."""
    token, note = 3 * width // 16, 5 * width // 32
    return [token, note, note, width - taken - token - 2 * note]


def padded(rows: Tensor, count: int) -> Tensor:
    """`rows`, and zeros below them up to `count` rows; or the first ones of more."""
    return torch.cat([rows, torch.zeros(max(0, count - len(rows)), rows.shape[1])])[:count]
