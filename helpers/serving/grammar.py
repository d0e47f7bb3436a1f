"""What an answer is held to, as a grammar: in llguidance's dialect of Lark, or xgrammar's EBNF.

llguidance is inside of onnxruntime-genai and Foundry Local, and a library of its own for MLX;
xgrammar is inside of OpenVINO GenAI. In both, JSON has no spaces, as models write it, and objects
have no other properties than the named ones unless the schema says so.
"""

import copy
import functools
import json
import math
import re
from collections.abc import Iterator
from fractions import Fraction

from helpers.serving.batched import Constraint
from helpers.serving.engine import ServingError
from helpers.serving.text import BEGIN, END

COMPACT = {"item_separator": ",", "key_separator": ":", "whitespace_flexible": False}
NO_ARGUMENTS = {"type": "object", "properties": {}}

# `until` ends with the first marker, which the token of that name matches as well as its letters.
FREE_TEXT = rf"""
until[lazy]: /(.|\n)*{BEGIN}/
TEXT: /(.|\n)*/ & ~/(.|\n)*{BEGIN}(.|\n)*/
"""


def lark(constraint: Constraint) -> str:
    """The grammar of an answer: JSON that fits a schema, or text with calls that fit their tools.

    Calls are `<tool_call>{"name":...,"arguments":...}</tool_call>`. What llguidance cannot keep is
    refused in a schema, and passed over in a tool's. Raises ServingError for what is no schema at
    all; llguidance finds the other faults.

    >>> print(lark(Constraint(tools=({"name": "now"},), required=True, parallel=False)).split()[:3])
    ['start:', '"<tool_call>"', 'call']
    """
    if constraint.schema is not None:
        return f"start: {_json(constraint.schema)}\n"
    if constraint.required:
        start = f'("{BEGIN}" call)+' if constraint.parallel else f'"{BEGIN}" call'
        lines = [f"start: {start}"]
    else:
        lines = [f"start: {'(until call)* TEXT' if constraint.parallel else 'TEXT | until call'}"]
        lines.append(FREE_TEXT)
    names = [f"call{number}" for number in range(len(constraint.tools))]
    lines.append(f'call: ({" | ".join(names)}) "{END}"')
    for name, tool in zip(names, constraint.tools, strict=True):
        begin = f'{{"name":{json.dumps(tool["name"])},"arguments":'
        arguments = _json(tool.get("parameters") or NO_ARGUMENTS, lenient=True)
        lines.append(f'{name}: {json.dumps(begin)} {arguments} "}}"')
    return "\n".join(lines) + "\n"


def spelled(constraint: Constraint) -> set[str]:
    """The characters beyond U+07FF that an answer may have to write: of names and constants.

    >>> spelled(Constraint(schema={"properties": {"in €": {"enum": ["½", "→"]}}})) == {"€", "→"}
    True
    """
    schemas = [constraint.schema, *(tool.get("parameters") for tool in constraint.tools)]
    return {one for schema in schemas for text in _texts(schema) for one in text if one > "\u07ff"}


def _texts(schema: object) -> Iterator[str]:
    if isinstance(schema, list):
        for inner in schema:
            yield from _texts(inner)
    elif isinstance(schema, dict):
        for key, inner in schema.items():
            if key in {"const", "enum", "pattern"}:
                yield json.dumps(inner, ensure_ascii=False)
            else:
                if key in {"properties", "patternProperties"} and isinstance(inner, dict):
                    yield from inner
                yield from _texts(inner)


def refused(error: object) -> ServingError:
    """What llguidance says of a grammar, without the lines of the grammar that it quotes.

    >>> refused("at 1(8): failed to compile JSON schema: Invalid type: x\\n   1 | start: ...").args
    ('the schema cannot be kept: Invalid type: x',)
    """
    said = re.split(r"\n +\d+ \| |\n<state>", str(error))[0].partition("compile JSON schema: ")
    why = (said[2] or said[0]).replace("NoExtensionBias", "nothing fits it")
    return ServingError(f"the schema cannot be kept: {' '.join(why.split())}", code="json_schema")


def _json(schema: object, lenient: bool = False) -> str:
    if not isinstance(schema, dict):
        raise refused(f"a schema is an object, not {json.dumps(schema):.40}")
    schema = copy.deepcopy(schema)
    found = list(parts(schema))
    if not any("allOf" in part for part in found):  # its parts would shut each other's out
        for part in found:
            if "properties" in part and "patternProperties" not in part:
                part.setdefault("additionalProperties", False)
    schema["x-guidance"] = {**COMPACT, "coerce_one_of": True, "lenient": lenient}
    return "%json " + json.dumps(schema)


def parts(schema: object) -> Iterator[dict]:
    """A JSON Schema and all the schemas in it."""
    if not isinstance(schema, dict):
        return
    yield schema
    for key, inner in schema.items():
        if key in {"properties", "patternProperties", "$defs", "definitions"}:
            inner = list(inner.values()) if isinstance(inner, dict) else []
        elif key not in {"items", "additionalProperties", "prefixItems", "anyOf", "oneOf", "allOf"}:
            continue
        for one in inner if isinstance(inner, list) else [inner]:
            yield from parts(one)


# ---- in xgrammar's EBNF

NOTES = set("title description default examples deprecated readOnly writeOnly".split())
NOTES |= set("$schema $id $comment $defs definitions".split())
KINDS = {  # what a schema without a type is about, by what it says
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems", "maxItems"},
    "string": {"minLength", "maxLength", "format"},
    "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"},
}
KEPT = {"type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"}.union(*KINDS.values())
DATE = '[0-9]{4} "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [12] [0-9] | "3" [01])'
TIME = '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9]{3})?'
TIME += ' ("Z" | [+-] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])'
FORMATS = {"date": DATE, "time": TIME, "date-time": f'{DATE} "T" {TIME}'}
WHOLE, PLACES = 15, 4  # most digits before a number's point, and behind it where it has bounds
RULES = r"""
char ::= [^"\\\x00-\x1f\x7f] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F]{4})
string ::= "\"" char* "\""
integer ::= "-"? ("0" | [1-9] [0-9]{0,14})
number ::= integer ("." [0-9]{1,15})?
boolean ::= "true" | "false"
null ::= "null"
pair ::= string ":" value
object ::= "{" (pair ("," pair)*)? "}"
array ::= "[" (value ("," value)*)? "]"
value ::= string | number | boolean | null | object | array
"""


def ebnf(schema: object, lenient: bool = False) -> str:
    """The grammar of the JSON that fits a schema.

    xgrammar reads schemas itself, but lets spaces without end into the JSON, and numbers out of
    their bounds. lenient: pass over what cannot be kept. Raises ServingError.

    >>> ebnf({"type": "integer", "minimum": 8, "maximum": 12}).splitlines()[0]
    'root ::= (([8-9] | "1" [0-2]))'
    """
    writer = _Ebnf(schema, lenient)
    try:
        root = writer.expression(schema)
        rules = "".join(f"{name} ::= {text}\n" for name, text in writer.rules.items())
        (root + rules).encode("utf-8")  # half a surrogate pair is no text
    except RecursionError:
        raise refused("it is too deep, or has no end") from None
    except (TypeError, ValueError, AttributeError) as error:  # a list for a number, say
        raise refused(f"it is no JSON Schema ({error})") from None
    return f"root ::= {root}\n{rules}{RULES}"


class _Ebnf:
    """Turns schemas into expressions, and names those that are used twice or hold themselves."""

    def __init__(self, root: object, lenient: bool):
        self._root, self._lenient = root, lenient
        self.rules: dict[str, str] = {}
        self._of_references: dict[str, str] = {}

    def expression(self, schema: object) -> str:
        if schema is True:
            return "value"
        if not isinstance(schema, dict):
            raise refused(f"a schema is an object, not {json.dumps(schema):.40}")
        own = {key: value for key, value in schema.items() if key in KEPT}
        if more := schema.keys() - KEPT - NOTES:
            self._lack(", ".join(sorted(more)))
        if list(own) == ["$ref"]:
            return self._referred(own["$ref"])
        if "$ref" in own:
            return self.expression(self._both(self._found(own.pop("$ref")), own))
        if "allOf" in own:
            return self.expression(functools.reduce(self._both, own.pop("allOf"), own))
        for key in ("anyOf", "oneOf"):
            if key in own:
                return self._either([self._both(own, one) for one in own.pop(key)])
        if "const" in own or "enum" in own:
            values = [own["const"]] if "const" in own else own["enum"]
            return f"({_some(' | '.join(map(_literal, values)))})"
        guess = next((kind for kind, keys in KINDS.items() if keys & own.keys()), None)
        kind = own.get("type", guess)
        if isinstance(kind, list):
            return self._either([{**own, "type": one} for one in kind])
        match kind:
            case "object" if KINDS["object"] & own.keys():
                return self._object(own)
            case "array" if KINDS["array"] & own.keys():
                return self._array(own)
            case "string" if KINDS["string"] & own.keys():
                return self._string(own)
            case "integer" | "number" if KINDS["number"] & own.keys():
                return _numbers(own, PLACES if kind == "number" else 0)
            case "object" | "array" | "string" | "integer" | "number" | "boolean" | "null":
                return kind
            case None:
                return "value"
        raise refused(f"there is no type {json.dumps(kind)}")

    def _object(self, schema: dict) -> str:
        named, required = schema.get("properties", {}), schema.get("required", [])
        rest = schema.get("additionalProperties", "properties" not in schema)
        named = {**named, **{name: rest for name in required if name not in named}}
        ways, tail = [], ""
        if rest is not False:
            other = "pair" if rest is True else f'string ":" {self.expression(rest)}'
            ways = [f'{other} ("," {other})*']
            tail = self._rule(f'("," {other})*')
        must = False
        for name, one in reversed(named.items()):
            pair = self._rule(f'{_literal(name)} ":" {self.expression(one)}')
            if name in required:  # then nothing behind it comes first
                ways, must = [], True
            ways.append(f"{pair} {tail}")
            after = f'"," {pair}' if name in required else f'("," {pair})?'
            tail = self._rule(f"{after} {tail}")
        if not must:
            ways.append('""')
        return f'"{{" ({" | ".join(ways)}) "}}"'

    def _array(self, schema: dict) -> str:
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        if most == 0:
            return '"[]"'
        item = self._rule(self.expression(schema.get("items", True)))
        more = f'("," {item}){{{max(least - 1, 0)},{"" if most is None else most - 1}}}'
        return f'"[" {item} {more} "]"' if least else f'"[" ({item} {more})? "]"'

    def _string(self, schema: dict) -> str:
        if (name := schema.get("format")) in FORMATS:
            return f'"\\"" {FORMATS[name]} "\\""'
        if name:
            self._lack(f"format {json.dumps(name)}")
        least, most = schema.get("minLength", 0), schema.get("maxLength")
        if most is not None and most < least:
            raise refused("maxLength is less than minLength")
        return f'"\\"" char{{{least},{"" if most is None else most}}} "\\""'

    def _either(self, schemas: list) -> str:
        return f"({_some(' | '.join(map(self.expression, schemas)))})"

    def _referred(self, reference: str) -> str:
        if reference not in self._of_references:
            name = self._of_references[reference] = self._rule("")
            self.rules[name] = self.expression(self._found(reference))
        return self._of_references[reference]

    def _found(self, reference: str) -> object:
        found = self._root
        try:
            if not reference.startswith("#"):
                raise KeyError
            for step in reference.split("/")[1:]:
                found = found[step.replace("~1", "/").replace("~0", "~")]
        except (KeyError, TypeError):
            raise refused(f"there is no {reference} in it") from None
        return found

    def _both(self, one: object, other: object) -> object:
        """A schema for what fits the two."""
        if not (isinstance(one, dict) and isinstance(other, dict)):
            return one if other is True else other
        both = {**one, **other}
        for key in one.keys() & other.keys() - NOTES:
            if key == "required":
                both[key] = [*one[key], *other[key]]
            elif key == "properties":
                shared = one[key].keys() & other[key].keys()
                joined = {name: self._both(one[key][name], other[key][name]) for name in shared}
                both[key] = {**one[key], **other[key], **joined}
            elif one[key] != other[key]:
                self._lack(f"way to keep two of {key}")
        return both

    def _rule(self, text: str) -> str:
        name = f"r{len(self.rules)}"
        self.rules[name] = text or '""'
        return name

    def _lack(self, what: str) -> None:
        if not self._lenient:
            raise refused(f"openvino has no {what}")


def _some(ways: str) -> str:
    if not ways:
        raise refused("nothing fits it")
    return ways


def _literal(value: object) -> str:
    """A JSON value as a terminal."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(text, ensure_ascii=False)


def _numbers(schema: dict, places: int) -> str:
    """Those within bounds, with up to `places` digits behind the point.

    Alternatives that begin alike are few on purpose: xgrammar 0.1.31 mixes up many of them.
    """
    unit, most = 10**places, 10 ** (WHOLE + places) - 1
    bounds = {key: Fraction(str(schema[key])) * unit for key in KINDS["number"] & schema.keys()}
    low = max(-most, math.ceil(bounds.get("minimum", -most)))
    high = min(most, math.floor(bounds.get("maximum", most)))
    if "exclusiveMinimum" in bounds:
        low = max(low, math.floor(bounds["exclusiveMinimum"]) + 1)
    if "exclusiveMaximum" in bounds:
        high = min(high, math.ceil(bounds["exclusiveMaximum"]) - 1)
    ways = [f'"-" {way}' for way in _positive(max(1, -high), -low, places)]
    ways += _positive(max(0, low), high, places)
    return f"({_some(' | '.join(ways))})"


def _positive(low: int, high: int, places: int) -> list[str]:
    """Ways to write what lies between two numbers, which are counted in units of the last place."""
    if low > high:
        return []
    unit = 10**places
    (first, above), (last, below) = divmod(low, unit), divmod(high, unit)
    if first == last:
        return [_part_of(first, above, below, places)]
    ways = []
    if above:
        ways.append(_part_of(first, above, unit - 1, places))
        first += 1
    if below < unit - 1:
        ways.append(_part_of(last, 0, below, places))
        last -= 1
    if first <= last:
        more = f' ("." [0-9]{{1,{places}}})?' if places else ""
        ways.append(_whole(first, last) + more)
    return ways


def _part_of(whole: int, low: int, high: int, places: int) -> str:
    """A whole number with what may be behind its point."""
    if not high:
        return f'"{whole}"'
    behind = f'"." {_digits(str(low).zfill(places), str(high).zfill(places), True)}'
    return f'"{whole}" {behind}' if low else f'"{whole}" ({behind})?'


def _whole(low: int, high: int) -> str:
    if low == high:
        return f'"{low}"'
    if low == 0:
        return f'("0" | {_whole(1, high)})'
    short, long = len(str(low)), len(str(high))
    if short == long:
        return _digits(str(low), str(high))
    ways = []
    if low > 10 ** (short - 1):
        ways.append(_digits(str(low), "9" * short))
        short += 1
    if high < 10**long - 1:
        ways.append(_digits(str(10 ** (long - 1)), str(high)))
        long -= 1
    if short <= long:
        ways.append(f"[1-9] [0-9]{{{short - 1},{long - 1}}}")
    return f"({' | '.join(ways)})"


def _digits(low: str, high: str, fewer: bool = False) -> str:
    """The strings of digits between two that are as long; or shorter, noughts being left out."""
    first, last, more = int(low[0]), int(high[0]), len(low) - 1
    if first == last or not more:
        start = f'"{first}"' if first == last else f"[{first}-{last}]"
        return start + _further(low[1:], high[1:], fewer)
    ways = []
    if low[1:].strip("0"):
        ways.append(f'"{first}"' + _further(low[1:], "9" * more, fewer))
        first += 1
    if high[1:].strip("9"):
        ways.append(f'"{last}"' + _further("0" * more, high[1:], fewer))
        last -= 1
    if first <= last:
        ways.append(f"[{first}-{last}] [0-9]{{{0 if fewer else more},{more}}}")
    return f"({' | '.join(ways)})"


def _further(low: str, high: str, fewer: bool) -> str:
    if not low:
        return ""
    text = _digits(low, high, fewer)
    return f" ({text})?" if fewer and not low.strip("0") else f" {text}"
