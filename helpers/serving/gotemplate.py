"""Templates in Go's language, as Ollama's models may have them, in Jinja."""

import json
import re

import jinja2

from helpers.serving.engine import ServingError
from helpers.serving.text import compiled


def jinja(template: str) -> str:
    """A template of Ollama's as a chat template in Jinja, over `messages` and `tools`.

    What there is of Go's language: if, else, with, range, variables, comments, and the functions of
    `_CALLS`. Raises ServingError.
    """
    go = _Go(template)
    if "messages" in go.fields:
        return _BEGIN + go.text
    # The older kind has one exchange; it is repeated, and what follows the answer is left out at
    # the end.
    turn = _Go(template if "response" in go.fields else template + "{{ .Response }}")
    last = _Go(turn.source, cut=True)
    return (
        _BEGIN
        + "{%- macro turn() -%}"
        + turn.text
        + '{%- set go.system = "" -%}{%- set go.prompt = "" -%}{%- set go.response = "" -%}'
        + "{%- endmacro -%}"
        + '{%- set go.system = "" -%}{%- for m in messages -%}'
        + '{%- if m.role == "system" -%}'
        + "{%- if go.prompt or go.response -%}{{ turn() }}{%- endif -%}"
        + "{%- set go.system = m.content -%}"
        + '{%- elif m.role == "user" -%}'
        + "{%- if go.response -%}{{ turn() }}{%- endif -%}{%- set go.prompt = m.content -%}"
        + '{%- elif m.role == "assistant" -%}{%- set go.response = m.content -%}'
        + "{%- endif -%}{%- endfor -%}"
        + last.text
    )


def filled(template: str, prompt: str, suffix: str) -> str:
    """The prompt for what stands between two texts. Raises ServingError."""
    source = _BEGIN + "{%- set go.prompt = prompt -%}{%- set go.suffix = suffix -%}"
    return rendered(source + _Go(template, cut=True).text, prompt=prompt, suffix=suffix)


def rendered(source: str, **values) -> str:
    """A Jinja template's text. Raises ServingError."""
    try:
        return compiled(source).render(**{"messages": []} | values)
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise ServingError(f"template error: {error}") from error


def go_fields(template: str) -> set[str]:
    """The fields of the request that a template looks at: messages, tools, suffix, ..."""
    return _Go(template).fields


# Go prints lists and objects as JSON. `go` holds the fields and the variables of the template.
_BEGIN = (
    "{%- macro out(x) -%}{%- if x is string -%}{{ x }}{%- elif x is defined and x is not none -%}"
    "{{ x | tojson }}{%- endif -%}{%- endmacro -%}"
    '{%- set go = namespace(system="", prompt="", response="", suffix="") -%}'
    "{%- set go.messages = messages -%}{%- set go.tools = tools -%}"
    '{%- for m in messages if m.role == "system" -%}'
    '{%- set go.system = go.system + ("\\n\\n" if go.system else "") + m.content -%}{%- endfor -%}'
)

_ACTION = re.compile(r"\{\{(-(?=\s))?\s*(.*?)\s*((?<=\s)-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*("(?:\\.|[^"\\])*"|`[^`]*`|-?\d+(?:\.\d+)?|\$?\w*(?:\.\w+)+|\$\w*|\w+|\.|:=|[()|,=])"""
)


def _compared(sign: str):
    return lambda one, other: f"({one} {sign} {other})"


_CALLS = {
    "eq": lambda one, *others: "(" + " or ".join(f"{one} == {other}" for other in others) + ")",
    "ne": _compared("!="),
    "lt": _compared("<"),
    "le": _compared("<="),
    "gt": _compared(">"),
    "ge": _compared(">="),
    "and": lambda *values: "(" + " and ".join(values) + ")",
    "or": lambda *values: "(" + " or ".join(values) + ")",
    "not": lambda value: f"(not {value})",
    "len": lambda value: f"({value} | length)",
    "index": lambda value, *keys: value + "".join(f"[{key}]" for key in keys),
    "slice": lambda value, *ends: f"{value}[{':'.join(ends)}{'' if len(ends) > 1 else ':'}]",
    "json": lambda value: f"({value} | tojson)",
}


class _Go:
    """A template of Go's, in Jinja. cut: nothing is written behind the answer's place."""

    def __init__(self, source: str, cut: bool = False):
        self.source, self.fields = source, set()
        self._cut, self._silent = cut, False
        self._open: list[tuple[str, str, str]] = []  # the kind, how it ends, "." outside of it
        self._dot, self._names = "go", 0
        pieces, end, trim = [], 0, False
        for action in _ACTION.finditer(source):
            text = source[end : action.start()]
            text = text.lstrip() if trim else text
            pieces.append(self._literal(text.rstrip() if action[1] else text))
            pieces.append(self._action(action[2]))
            end, trim = action.end(), bool(action[3])
        text = source[end:]
        pieces.append(self._literal(text.lstrip() if trim else text))
        if self._open or "{{" in text:
            raise ServingError(
                f"template error: {self._open[-1][0] if self._open else '{{'} is open"
            )
        self.text = "".join(pieces)

    def _literal(self, text: str) -> str:
        return (
            "{{ " + json.dumps(text, ensure_ascii=False) + " }}"
            if text and not self._silent
            else ""
        )

    def _action(self, text: str) -> str:
        if text.startswith("/*"):
            return ""
        self._left, self._all = self._split(text), text
        word = self._left[0] if self._left else ""
        if word in {"if", "with", "range"}:
            self._left.pop(0)
            return getattr(self, f"_{word}")()
        if word == "else":
            return self._else()
        if word == "end":
            if not self._open:
                raise ServingError("template error: unexpected {{end}}")
            _, closing, self._dot = self._open.pop()
            return closing
        if word in {"break", "continue"}:
            return "{%- " + word + " -%}"
        if word.startswith("$") and self._left[1:2] in (["="], [":="]):
            del self._left[:2]
            return "{%- set " + self._variable(word) + " = " + self._pipeline(end=True) + " -%}"
        value = self._pipeline(end=True)
        shown = "" if self._silent else "{{ out(" + value + ") }}"
        self._silent |= self._cut and value == "go.response"
        return shown

    def _if(self) -> str:
        self._open.append(("if", "{%- endif -%}", self._dot))
        return "{%- if " + self._pipeline(end=True) + " -%}"

    def _with(self) -> str:
        name, value = self._new("with"), self._pipeline(end=True)
        self._open.append(("with", "{%- endif -%}", self._dot))
        self._dot = name
        return "{%- set " + name + " = " + value + " -%}{%- if " + name + " -%}"

    def _range(self) -> str:
        names = []
        if ":=" in self._left:
            names = [name for name in self._left[: self._left.index(":=")] if name != ","]
            del self._left[: self._left.index(":=") + 1]
        value, many, one = self._pipeline(end=True), self._new("many"), self._new("one")
        self._open.append(("range", "{%- endfor -%}", self._dot))
        self._dot = one
        begin = "{%- set " + many + " = " + value + " -%}"
        begin += "{%- for " + one + " in " + many + " -%}"
        for name, kept in zip(names[-1:] + names[:-1], (one, "loop.index0"), strict=False):
            begin += "{%- set " + self._variable(name) + " = " + kept + " -%}"
        return begin

    def _else(self) -> str:
        if not self._open:
            raise ServingError("template error: unexpected {{else}}")
        kind, _, outside = self._open[-1]
        if self._left[1:2] == ["if"] and kind == "if":
            del self._left[:2]
            return "{%- elif " + self._pipeline(end=True) + " -%}"
        if len(self._left) > 1:
            raise ServingError(f"template error: {{{{{self._all}}}}} is not known here")
        self._dot = outside
        return "{%- else -%}"

    def _new(self, kind: str) -> str:
        self._names += 1
        return f"{kind}{self._names}"

    def _variable(self, name: str) -> str:
        return "go.v_" + name.removeprefix("$")

    # ---- values

    def _split(self, text: str) -> list[str]:
        found, end = [], 0
        while end < len(text.rstrip()):
            token = _TOKEN.match(text, end)
            if not token:
                raise ServingError(f"template error: {{{{{text}}}}} cannot be read")
            found.append(token[1])
            end = token.end()
        return found

    def _pipeline(self, end: bool = False) -> str:
        value = self._command()
        while self._left and self._left[0] == "|":
            self._left.pop(0)
            value = self._command(value)
        if end and self._left:
            raise ServingError(f"template error: {{{{{self._all}}}}} cannot be read")
        return value

    def _command(self, *piped: str) -> str:
        name = self._left[0] if self._left else ""
        if name.isidentifier() and name not in {"true", "false", "nil"}:
            self._left.pop(0)
            if name not in _CALLS:
                raise ServingError(f"template error: function {name!r} is not known here")
            values = []
            while self._left and self._left[0] not in {")", "|"}:
                values.append(self._value())
            try:
                return _CALLS[name](*values, *piped)
            except TypeError:
                raise ServingError(f"template error: {name} in {{{{{self._all}}}}}") from None
        return self._value()

    def _value(self) -> str:
        if not self._left:
            raise ServingError(f"template error: a value is missing in {{{{{self._all}}}}}")
        token = self._left.pop(0)
        if token == "(":
            value = "(" + self._pipeline() + ")"
            if not self._left or self._left.pop(0) != ")":
                raise ServingError(f"template error: a ) is missing in {{{{{self._all}}}}}")
            return value
        if token[0] == "`":
            return json.dumps(token[1:-1], ensure_ascii=False)
        if token[0] in '"-0123456789':
            return token
        if token in {"true", "false", "nil"}:
            return {"nil": "none"}.get(token, token)
        if token[0] not in "$.":
            raise ServingError(f"template error: {token!r} in {{{{{self._all}}}}}")
        base, *names = token.split(".")
        names = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for name in names if name]
        start = self._dot if not base else "go" if base == "$" else self._variable(base)
        if start == "go" and names:
            self.fields.add(names[0])
        return ".".join([start, *names])
