"""Text to token ids: byte-level BPE, digits and spaces one by one, the template, what to learn.

`slm/tokenizer.json` is shared by the course's models. `python -m slm tokenizer` makes it anew from
the corpus; do that only together with new weights.
"""

import functools
import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import jinja2
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from helpers.serving.text import compiled
from slm.corpus import Conversation, conversations

TEMPLATE = Path(__file__).with_name("chat_template.jinja")
PATH = Path(__file__).with_name("tokenizer.json")
END_OF_TEXT, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
# Markers that a reader of the text must see; the others are control tokens that servers drop.
VISIBLE = ["<tool_call>", "</tool_call>"]
ADDED = [END_OF_TEXT, START, END, *VISIBLE]


@functools.cache
def _template() -> jinja2.Template:
    return compiled(TEMPLATE.read_text(encoding="utf-8"))


def render(messages: list[dict], tools: list[dict] = (), add_generation_prompt=False) -> str:
    """The text a model reads, by the very template that ships with it.

    Raises ValueError for an empty conversation or an unknown role.
    """
    return _template().render(
        messages=messages, tools=list(tools), add_generation_prompt=add_generation_prompt
    )


def train(vocab_size: int = 4096, sample: int = 30_000, seed: int = 0) -> Tokenizer:
    """A byte-level BPE learnt from `sample` conversations."""
    rendered = (
        render(conversation.messages, conversation.tools)
        for conversation in itertools.islice(conversations(seed), sample)
    )
    return learn(rendered, vocab_size)


def learn(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    # Digits and spaces apart while learning: no merge then holds one, so that the plain GPT-2
    # splitting below, which llama.cpp knows by name, still gives each a token of its own. A word
    # is then the same tokens after a space and behind the quotation mark of a call's argument:
    # to fill in an argument is to copy.
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(" ", "isolated"),
            byte_level,
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=ADDED,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = byte_level
    saved = json.loads(tokenizer.to_str())
    for added in saved["added_tokens"]:
        added["special"] = added["content"] not in VISIBLE
    return Tokenizer.from_str(json.dumps(saved))


@functools.cache
def load() -> Tokenizer:
    return Tokenizer.from_file(str(PATH))


def encode(conversation: Conversation, tokenizer: Tokenizer) -> tuple[list[int], list[bool]]:
    """Token ids, and for each whether the assistant says it (its closing marker included)."""
    ids = tokenizer.encode(render(conversation.messages, conversation.tools)).ids
    return ids, spoken(ids, tokenizer)


def spoken(ids: list[int], tokenizer: Tokenizer) -> list[bool]:
    """Of each token of a rendered conversation, whether the assistant says it."""
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    role = tokenizer.encode("assistant\n").ids
    said, saying = [], False
    for position, token in enumerate(ids):
        if position > len(role) and ids[position - len(role) : position] == role:
            saying = saying or ids[position - len(role) - 1] == start
        said.append(saying)
        saying = saying and token != end
    return said
