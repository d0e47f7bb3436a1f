"""What a name stands for, in a server like Ollama's: a model's file, and how it is asked."""

import functools
import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from helpers.serving.gguf_header import Gguf, read_gguf
from helpers.serving.gotemplate import go_fields
from helpers.serving.llama import LlamaSampling

HOST, NAMESPACE, TAG = "registry.ollama.ai", "library", "latest"
_PART = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,79}"
_NAME = re.compile(
    rf"(?:(?P<host>[a-zA-Z0-9_][a-zA-Z0-9_.:-]{{0,349}})/(?=.*/))?"
    rf"(?:(?P<namespace>[a-zA-Z0-9_][a-zA-Z0-9_-]{{0,79}})/)?"
    rf"(?P<model>{_PART})(?::(?P<tag>{_PART}))?"
)


@dataclass(frozen=True)
class Name:
    """`namespace/model:tag`, as Ollama has it; upper and lower case are the same.

    >>> str(Name.read("Mario")), Name.read("me/mario:v2").full
    ('Mario:latest', 'registry.ollama.ai/me/mario:v2')
    >>> Name.read("../mario") is None
    True
    """

    host: str
    namespace: str
    model: str
    tag: str

    @classmethod
    def read(cls, text: str) -> "Name | None":
        """The name, or None where the text is none."""
        if not (found := _NAME.fullmatch(text.strip())):
            return None
        host, namespace, model, tag = found.group("host", "namespace", "model", "tag")
        return cls(host or HOST, namespace or NAMESPACE, model, tag or TAG)

    @property
    def full(self) -> str:
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"

    @property
    def file(self) -> str:
        """What its manifest is called; no name of a device, and no other's but for the case."""
        return f"{self.namespace}+{self.model}+{self.tag}.json".lower()

    def __str__(self) -> str:
        away = self.host.lower() != HOST
        long = away or self.namespace.lower() != NAMESPACE
        where = (f"{self.host}/" if away else "") + (f"{self.namespace}/" if long else "")
        return f"{where}{self.model}:{self.tag}"


@dataclass(frozen=True)
class Model:
    """What a name stands for."""

    name: str
    path: Path
    digest: str  # of the GGUF file, sha256:...
    size: int  # bytes
    modified: float  # seconds since 1970
    parent: str = ""
    template: str = ""  # in Go's language; empty: the GGUF file's own
    system: str = ""
    license: tuple[str, ...] = ()
    parameters: dict = field(default_factory=dict)
    messages: tuple[dict, ...] = ()

    @property
    def key(self) -> str:
        """Models with the same are served by the same process."""
        return hashlib.sha256(f"{self.digest} {self.template}".encode()).hexdigest()

    @property
    def id(self) -> str:
        return hashlib.sha256(json.dumps(self.stored()).encode()).hexdigest()

    def stored(self) -> dict:
        """Its manifest."""
        return {name: value for name, value in asdict(self).items() if name not in _UNSTORED}

    def metadata(self) -> Gguf:
        return _metadata(self.path)

    def capabilities(self) -> list[str]:
        """As Ollama infers them: from what the model was made for, and from its template."""
        values = self.metadata().values
        able = ["embedding" if self.embeds else "completion"]
        if self.template:
            seen = go_fields(self.template)
            able += [what for what, field in _ABLE.items() if field in seen]
        template = self.template or str(values.get("tokenizer.chat_template", ""))
        if not self.template and ("tools" in template or "tool_call" in template):
            able.append("tools")
        return able + ["thinking"] * ("</think>" in template)

    @property
    def embeds(self) -> bool:
        """Whether it was made for embeddings alone."""
        return self.metadata().made_for_embeddings

    def conversation(self, messages: list[dict]) -> list[dict]:
        """The messages behind those that the model begins with."""
        begin = list(self.messages)
        if self.system and messages and messages[0]["role"] != "system":
            begin.insert(0, {"role": "system", "content": self.system})
        return begin + messages


_UNSTORED = {"path", "modified"}
_ABLE = {"tools": "tools", "insert": "suffix"}  # and the field of a template that shows each


_metadata = functools.lru_cache(maxsize=64)(read_gguf)


# ---- options

# Ollama's own defaults (DefaultOptions of its api/types.go).
DEFAULTS = {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "repeat_last_n": 64}


def sampling(options: dict, logprobs: int | None = None) -> LlamaSampling:
    """How tokens are chosen, as options say it that were checked (`ollama.checked_options`)."""
    known = {one.name for one in fields(LlamaSampling)}
    chosen = {name: value for name, value in options.items() if name in known}
    if options.get("num_predict", -1) >= 0:
        chosen["max_tokens"] = options["num_predict"]
    for name, least in (("top_k", 0), ("repeat_last_n", -1)):
        if name in chosen:
            chosen[name] = max(least, chosen[name])
    if chosen.get("seed", -1) < 0:
        chosen.pop("seed", None)
    chosen["stop"] = tuple(options.get("stop", ()))
    return LlamaSampling(**chosen, logprobs=logprobs)


def human(number: int) -> str:
    """As Ollama writes the number of a model's parameters.

    >>> human(4_720_000), human(7_600_000_000), human(930)
    ('4.72M', '7.6B', '930')
    """
    for size, letter, digits in ((10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 0)):
        if number >= size:
            short = f"{number / size:.{0 if number % size == 0 else digits}f}"
            return short + letter
    return str(number)
