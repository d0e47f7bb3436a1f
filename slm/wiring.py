"""Start weights that can already copy: an induction circuit, written into the first two layers.

Nearly every argument of a call is copied from the request. A network that starts from noise learns
to copy late: until then it lowers its loss by guessing frequent words, and that is where it stays
for millions of tokens. The circuit is known (Olsson et al., "In-context Learning and Induction
Heads", 2022), so it is given, roughly, and trained on from there:

* a head of the first layer looks one token back and notes that token beside the present one;
* a head of the second layer looks for the place whose noted token is the present one, and says what
  stands there.

A head further up, which `slm.guidance` will teach to find the tool that a request wants, starts
with what `slm.associations` has counted.
"""

import torch
from torch import Tensor

from slm.network import Llama

CONSTANT = 4.0  # what every embedding has in coordinate 0, for heads that heed positions only
QUIET = 0.1  # factor of the other weights that write to the residual, which would drown the notes
BACK, MATCH = 3.0, 4.0  # how sharply the first and the second head look
NOTE, SAY = 4.0, 16.0  # how loudly they write, in standard deviations of an embedding
FAR = 0.004  # radians a token; frequencies below it hardly turn over a conversation
FIND = 4.0  # how sharply the head looks that finds a tool
LOUDNESS = 0.1  # of the output, so that probabilities start nearly even


@torch.no_grad()
def wire(network: Llama, counted: tuple[Tensor, Tensor] | None = None) -> None:
    """Write the circuit into a fresh network of at least two layers, once per key-value head.

    counted: what `slm.associations` gives, (vocab_size, rank) twice, for networks of four layers
    and more; the embedding holds both from coordinate 1 on.
    """
    config = network.config
    first, second = (layer.self_attn for layer in network.model.layers[:2])
    width, size, pairs = config.hidden_size, config.head_dim, config.head_dim // 2
    groups = config.num_key_value_heads
    per_group = config.num_attention_heads // groups
    angles = config.rope_theta ** (-torch.arange(pairs) / pairs)
    steady = (angles < FAR).nonzero().squeeze(1)
    steady = torch.cat([steady, steady + pairs])

    embedding = network.model.embed_tokens.weight
    embedding.normal_()
    embedding[:, 0] = CONSTANT
    network.model.norm.weight.fill_(LOUDNESS)
    for layer in network.model.layers:
        layer.self_attn.o_proj.weight *= QUIET
        layer.mlp.down_proj.weight *= QUIET

    rank = counted[0].shape[1] if counted else 0
    taken = 1 + 2 * rank
    for place, vectors in enumerate(counted or ()):
        embedding[:, 1 + place * rank : 1 + (place + 1) * rank] = vectors / vectors.std()
    directions = torch.zeros(width, width - taken)
    directions[taken:] = orthonormal(width - taken)
    share = min(size, (width - taken) // (2 * groups))  # that a group reads, and as many it writes
    even = torch.full((pairs,), BACK / CONSTANT)
    for group in range(groups):
        read = directions[:, group * share : (group + 1) * share].T
        noted = directions[:, (groups + group) * share : (groups + group + 1) * share].T
        token, note = padded(read, size), padded(noted, size)
        keys = slice(group * size, (group + 1) * size)
        head = slice(group * per_group * size, (group * per_group + 1) * size)
        # One token back: the query is the key, turned back by one position, and both heed
        # nothing but the coordinate that is the same in every token.
        for weight, rows in ((first.k_proj.weight, keys), (first.q_proj.weight, head)):
            weight[rows] *= QUIET
        first.k_proj.weight[keys, 0] = torch.cat([even, torch.zeros(pairs)])
        turned = torch.cat([even * angles.cos(), -even * angles.sin()])
        first.q_proj.weight[head, 0] = 8 * turned
        first.v_proj.weight[keys] = token
        first.o_proj.weight[:, head] = NOTE * note.T
        # What followed this token before? Only frequencies that do not turn with the distance.
        second.q_proj.weight[head] = 0
        second.q_proj.weight[head][steady] = MATCH * read[: len(steady)]
        second.k_proj.weight[keys] = 0
        second.k_proj.weight[keys][steady] = MATCH * noted[: len(steady)]
        second.v_proj.weight[keys] = token
        second.o_proj.weight[:, head] = SAY * token.T
    if counted:
        finding, used = network.model.layers[-3].self_attn, steady[:rank]
        for weight, begin in ((finding.q_proj.weight, 1), (finding.k_proj.weight, 1 + rank)):
            weight[:size] *= QUIET
            weight[used, begin + torch.arange(len(used))] = FIND


def orthonormal(size: int) -> Tensor:
    return torch.linalg.qr(torch.randn(size, size))[0]


def padded(rows: Tensor, count: int) -> Tensor:
    """`rows`, and zeros below them up to `count` rows."""
    return torch.cat([rows, torch.zeros(count - len(rows), rows.shape[1])])
