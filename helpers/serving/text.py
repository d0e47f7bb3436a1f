"""A model's own chat template and tokenizer, and the calls and stop words in what it writes."""

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import jinja2.sandbox
from jinja2.ext import loopcontrols
from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

from helpers.serving.engine import Call, ServingError


class Text:
    """What turns conversations into token ids and token ids into text, from a model's folder.

    folder: in Hugging Face's form, with tokenizer.json, config.json and a chat template.
    """

    def __init__(self, folder: Path):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        settings = _json(folder / "tokenizer_config.json")
        template = folder / "chat_template.jinja"
        own = settings.get("chat_template")
        if isinstance(own, list):  # several, by name
            own = {one["name"]: one["template"] for one in own}.get("default")
        source = template.read_text(encoding="utf-8") if template.is_file() else own
        self._template = compiled(source) if source else None
        self._names = {
            name: value["content"] if isinstance(value, dict) else value
            for name, value in settings.items()
            if name in {"bos_token", "eos_token", "pad_token"} and value
        }
        ends = {**_json(folder / "config.json"), **_json(folder / "generation_config.json")}
        ends = ends.get("eos_token_id", ())
        self.ends = frozenset([ends] if isinstance(ends, int) else ends)

    def render(self, messages: list[dict], tools: Iterable[dict] = ()) -> str:
        """The text that the model reads, up to where its answer begins. Raises ServingError."""
        if not self._template:
            raise ServingError("the model has no chat template: it can complete prompts only")
        try:
            return self._template.render(
                messages=[_with_objects(message) for message in messages],
                tools=list(tools) or None,
                add_generation_prompt=True,
                **self._names,
            )
        except (jinja2.TemplateError, TypeError, ValueError) as error:
            raise ServingError(f"the model's chat template refuses this: {error}") from error

    def encode(self, text: str) -> list[int]:
        """Token ids; special tokens are read as such, and none are added."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def stream(self) -> "Decoder":
        """A decoder for the tokens of one answer, in their order."""
        return Decoder(self.tokenizer)


class Decoder:
    """Token ids to text, with bytes kept back until they make whole characters."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)

    def feed(self, tokens: Iterable[int]) -> str:
        step, tokenizer = self._stream.step, self._tokenizer
        return "".join([step(tokenizer, token) or "" for token in tokens])


def compiled(template: str) -> jinja2.Template:
    """A chat template in the environment that Hugging Face's templates are written for."""
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = functools.partial(json.dumps, ensure_ascii=False)
    environment.globals["raise_exception"] = _refuse
    return environment.from_string(template)


def _refuse(reason: str) -> None:
    raise ValueError(reason)


def _with_objects(message: dict) -> dict:
    """The message with its calls' arguments as objects: most templates write them as JSON again."""
    if not message.get("tool_calls"):
        return message
    calls = []
    for call in message["tool_calls"]:
        function = dict(call["function"])
        if isinstance(function.get("arguments"), str):
            function["arguments"] = json.loads(function["arguments"] or "{}")
        calls.append({**call, "function": function})
    return {**message, "tool_calls": calls}


def _json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


# ---- in what the model writes

BEGIN, END = "<tool_call>", "</tool_call>"  # Hermes' form, which many small models learnt


@dataclass
class CallParser:
    """Takes the calls out of a text that comes in pieces.

    >>> parser = CallParser()
    >>> parser.feed('Let me look. <tool_')
    ('Let me look. ', ())
    >>> parser.feed('call>{"name": "look", "arguments": {"at": 1}}</tool_call>')
    ('', (Call(name='look', arguments='{"at":1}'),))
    """

    _held: str = ""
    _calling: bool = False
    found: bool = False

    def feed(self, piece: str) -> tuple[str, tuple[Call, ...]]:
        """The text outside of calls, as far as it is sure to be that, and the calls that ended."""
        self._held += piece
        said, calls = "", []
        while True:
            marker = END if self._calling else BEGIN
            place = _end_of_call(self._held) if self._calling else self._held.find(BEGIN)
            if place < 0:
                break
            before, self._held = self._held[:place], self._held[place + len(marker) :]
            if self._calling and (call := _call(before)):
                calls.append(call)
                self.found = True
            elif self._calling:  # no call after all: the reader sees what was written
                said += BEGIN + before + END
            else:
                said += before
            self._calling = not self._calling
        if not self._calling:
            sure = len(self._held) - overlap(self._held, BEGIN)
            said += self._held[:sure]
            self._held = self._held[sure:]
        return said, tuple(calls)

    def end(self) -> str:
        """What is left when nothing more comes: a marker begun, or a call that was cut off."""
        rest = (BEGIN if self._calling else "") + self._held
        self._held, self._calling = "", False
        return rest


def _end_of_call(text: str) -> int:
    """Where the marker is that ends a call, -1 before it came; in a JSON string it is only text.

    >>> _end_of_call('{"name": "say", "arguments": {"text": "</tool_call>"}}</tool_call>')
    54
    """
    place = first = text.find(END)
    while place >= 0:
        try:
            json.loads(text[:place])
        except json.JSONDecodeError as error:
            if not error.msg.startswith("Unterminated string"):
                return first  # no call in any way
            place = text.find(END, place + 1)
        else:
            break
    return place


def _call(text: str) -> Call | None:
    try:
        call = json.loads(text)
        arguments = call.get("arguments", call.get("parameters")) or {}
        if not (isinstance(call["name"], str) and isinstance(arguments, dict)):
            return None
    except (ValueError, KeyError, AttributeError):
        return None
    return Call(call["name"], json.dumps(arguments, ensure_ascii=False, separators=(",", ":")))


@dataclass
class StopWords:
    """Ends a text that comes in pieces before the first of some words.

    >>> stop = StopWords(("END",))
    >>> stop.feed("so far, E"), stop.feed("N"), stop.feed("D and more"), stop.hit
    ('so far, ', '', '', True)
    """

    words: tuple[str, ...] = ()
    _held: str = ""
    hit: bool = False

    def feed(self, piece: str) -> str:
        """What can be shown: nothing from the stop word on, nor what may become one."""
        if not self.words:
            return piece
        self._held += piece
        places = [place for word in self.words if (place := self._held.find(word)) >= 0]
        if places:
            self.hit = True
            said, self._held = self._held[: min(places)], ""
            return said
        kept = max(overlap(self._held, word) for word in self.words)
        said, self._held = (
            self._held[: len(self._held) - kept],
            self._held[len(self._held) - kept :],
        )
        return said

    def end(self) -> str:
        rest, self._held = self._held, ""
        return rest


def overlap(text: str, word: str) -> int:
    """How many characters at the end of `text` may be the beginning of `word`.

    >>> overlap("see <tool", "<tool_call>")
    5
    """
    return next(
        (n for n in range(min(len(word) - 1, len(text)), 0, -1) if text.endswith(word[:n])), 0
    )
