"""What an answer is held to, as a grammar in llguidance's dialect of Lark.

llguidance is inside of onnxruntime-genai and Foundry Local, and a library of its own for MLX.
"""

import json
import re

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

    Calls are `<tool_call>{"name":...,"arguments":...}</tool_call>`, JSON has no spaces, and
    objects have no other properties than the named ones unless the schema says so, or has an
    allOf. What llguidance cannot hold is refused in a schema, and passed over in a tool's. Raises
    ServingError for what is no schema at all; llguidance finds the other faults.

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


def refused(error: object) -> ServingError:
    """What llguidance says of a grammar, without the lines of the grammar that it quotes.

    >>> refused("at 1(8): failed to compile JSON schema: Invalid type: x\\n   1 | start: ...").args
    ('the schema cannot be kept: Invalid type: x',)
    """
    said = re.split(r"\n +\d+ \| |\n<state>", str(error))[0].partition("compile JSON schema: ")
    why = (said[2] or said[0]).replace("NoExtensionBias", "nothing fits it")
    return ServingError(f"the schema cannot be kept: {why}", code="json_schema")


def _json(schema: dict, lenient: bool = False) -> str:
    if not isinstance(schema, dict):
        raise ServingError(f"a JSON Schema is an object, not {schema!r:.40}", code="json_schema")
    if '"allOf"' not in json.dumps(schema):
        schema = closed(schema)
    settings = {**COMPACT, "coerce_one_of": True, "lenient": lenient}
    return "%json " + json.dumps({**schema, "x-guidance": settings})


def closed(schema: object) -> object:
    """The schema with its objects limited to the properties that it names."""
    if not isinstance(schema, dict):
        return schema
    shut = dict(schema)
    for key, inner in schema.items():
        if key in {"properties", "$defs", "definitions"} and isinstance(inner, dict):
            shut[key] = {name: closed(one) for name, one in inner.items()}
        elif key in {"anyOf", "oneOf", "prefixItems"} and isinstance(inner, list):
            shut[key] = [closed(one) for one in inner]
        elif key == "items":
            shut[key] = closed(inner)
    if "properties" in schema and "patternProperties" not in schema:
        shut.setdefault("additionalProperties", False)
    return shut
