"""How things are typed: filled patterns made to read well, and the ways people are careless."""

import random
import re

from slm.corpus.reading import SLOT, Words

ADVERB = re.compile(r"(today|tomorrow|tonight|yesterday|this|next|last|now)\b", re.I)
# "the kitchen", but "office 12" and "Ada's room" without an article.
NAMED = re.compile(r"the |.*(\b\d+\w?|\b\w|'s \w+)$", re.I)
VOWEL = re.compile(r"(?!uni|use|usu|eu|one\b)[aeiou]|8|11\b|18\b", re.I)
LAST_WORD = re.compile(r"(?:^|(?<=\W))(on|at|the|an?) $", re.I)


def joined(before: str, value: str) -> str:
    """A text and the value that follows it, its last small word made to fit.

    >>> joined("Book it on ", "tomorrow"), joined("in the ", "office 12"), joined("a ", "old lamp")
    ('Book it tomorrow', 'in office 12', 'an old lamp')
    """
    match = LAST_WORD.search(before)
    if not match:
        return before + value
    word, start = match[1], before[: match.start()]
    drop = NAMED.match(value) if word.lower() == "the" else ADVERB.match(value)
    if word.lower() in {"on", "at", "the"}:
        if not drop:
            return before + value
        return start + value if start else upper_first(value)
    article = word[0] + ("n" if VOWEL.match(value) else "")
    return f"{start}{article} {value}"


def fill(pattern: str, said: dict[str, str]) -> str:
    """Put values into a pattern's slots; a slot without a value is a KeyError."""
    pieces = SLOT.split(pattern)  # texts at even places, slots' names at odd ones
    text = pieces[0]
    for name, after in zip(pieces[1::2], pieces[2::2], strict=True):
        value = str(said[name])
        if not text and pattern[-1] in ".?!":
            value = upper_first(value)
        text = joined(text, value)
        text += after[1:] if value.endswith(".") and after.startswith(".") else after
    return text


def upper_first(text: str) -> str:
    """The first letter large, unless the text begins with an id or an address."""
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    if not first.strip(".,:;!?'\"").replace("'", "").replace("-", "").isalpha():
        return text
    return text[:1].upper() + text[1:]


def is_lower(rng: random.Random) -> bool:
    """Whether somebody types all in lower case."""
    return rng.random() < 0.12


def as_typed(rng: random.Random, pattern: str, lower: bool = False, mistakes: float = 0.07) -> str:
    """A pattern in lower case or not, and as often as `mistakes` says with one or two of these."""
    pattern = pattern.lower() if lower else pattern
    return careless(rng, pattern) if rng.random() < mistakes else pattern


def careless(rng: random.Random, pattern: str) -> str:
    """A pattern with a typing mistake or two, never in a slot."""
    pieces = SLOT.split(pattern)  # texts at even places, slots' names at odd ones
    for _ in range(rng.choice([1, 1, 2])):
        at = 2 * rng.randrange((len(pieces) + 1) // 2)
        piece = pieces[at]
        spots = [i for i in range(1, len(piece) - 2) if piece[i - 1 : i + 2].isalpha()]
        if spots:
            i = rng.choice(spots)
            pieces[at] = piece[:i] + rng.choice(
                [
                    piece[i + 1 :],
                    piece[i + 1] + piece[i] + piece[i + 2 :],
                    piece[i] * 2 + piece[i + 1 :],
                ]
            )
    return "".join(f"{{{p}}}" if i % 2 else p for i, p in enumerate(pieces))


def lower_first(text: str) -> str:
    """The first letter small, but not in "I", "I'm" or an id."""
    return text if text[1:2] in " '" or not text[1:2].islower() else text[:1].lower() + text[1:]


POLITE = re.compile(r"\b(?:please|pls|plz|thanks|thank|thx|cheers|kindly)\b", re.I)


def typed(rng: random.Random, words: Words, text: str) -> str:
    """What somebody sends: as it is, without the full stop, with thanks, with a word around it."""
    dice = rng.random()
    if dice < 0.08:
        return lower_first(text)
    if dice < 0.18:
        return text.rstrip(".?!")
    if dice < 0.21 and not POLITE.search(text):
        return text.rstrip(".") + rng.choice(
            ["!", "!!", " thanks", " please", " pls", ", thank you"]
        )
    if dice < 0.29:
        before = rng.choice(words["asides_before"])
        if text == text.lower():
            return f"{before} {text}"
        return f"{before} {upper_first(text) if before[-1] in '.?!' else lower_first(text)}"
    if dice < 0.37:
        return f"{text if text[-1:] in '.?!' else text + '.'} {rng.choice(words['asides_after'])}"
    return text
