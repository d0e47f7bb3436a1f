"""Answers without a model, to know what the exam's rates are worth.

`random_tool` calls any of the tools, `bm25_tool` the one whose words fit the request best (BM25,
the ranking of search engines); both take the arguments from the request by regular expressions.
"""

import math
import random
import re

from slm.exam.asking import Reply
from slm.exam.cases import Case

WORD = re.compile(r"[a-z]+|\d+")
CODE = re.compile(r"(?=\S*\d)#?[\w/-]*[\w]")
EMAIL = re.compile(r"\S+@\S+\.\w+")
FIGURE = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?")
DAY = re.compile(
    r"\b(?:today|tomorrow|tonight|(?:next |this )?(?:mon|tues|wednes|thurs|fri|satur|sun)day|"
    r"\d{4}-\d\d-\d\d|\d\d\.\d\d\.\d{4}|"
    r"\d{1,2} (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)\w*)",
    re.I,
)
TIME = re.compile(r"\b\d{1,2}(?::\d\d)?\s?(?:am|pm)\b|\b\d{1,2}:\d\d\b|\bnoon\b", re.I)
NAME = re.compile(r"(?<=\s)[A-Z]\w+(?: [A-Z]\w+)*")


def words_of(text: str) -> list[str]:
    return WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower())


def description(tool: dict) -> list[str]:
    function = tool["function"]
    names = list(function.get("parameters", {}).get("properties", {}))
    return words_of(" ".join([function["name"], function.get("description", ""), *names]))


def bm25(
    query: list[str], documents: list[list[str]], k: float = 1.5, b: float = 0.75
) -> list[float]:
    """The score of each document for a query."""
    mean = sum(map(len, documents)) / len(documents) or 1
    scores = []
    for document in documents:
        score = 0.0
        for word in set(query):
            holding = sum(word in one for one in documents)
            weight = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
            count = document.count(word)
            score += weight * count * (k + 1) / (count + k * (1 - b + b * len(document) / mean))
        scores.append(score)
    return scores


def argument(name: str, schema: dict, text: str, taken: set[str]):
    """A value for an argument from the request, or None."""
    kind = schema.get("type")
    if "enum" in schema:
        return next((one for one in schema["enum"] if str(one).lower() in text.lower()), None)
    if kind == "boolean":
        return name.lower() in text.lower()
    if kind in {"number", "integer"}:
        found = [f for f in FIGURE.findall(text) if f not in taken]
        if not found:
            return None
        taken.add(found[0])
        value = float(found[0].replace(",", ""))
        return int(value) if value == int(value) else value
    for hint, pattern in (
        ("mail|to$", EMAIL),
        ("date|day|due|when|since", DAY),
        ("time|arrive|at$", TIME),
        ("id$|number|sku|token|code|ref", CODE),
        ("name|person|city|approver|vendor|provider|origin|destination|place", NAME),
    ):
        if re.search(hint, name, re.I):
            found = [one for one in pattern.findall(text) if one not in taken]
            if found:
                taken.add(found[0])
                return found[0]
    return re.split(r"\b(?:for|about|to|of|called|that)\b", text, maxsplit=1)[-1].strip(" .?!:")


def filled(tool: dict, text: str) -> dict:
    """A call of the tool: its required arguments, as far as they are found."""
    parameters = tool["function"].get("parameters", {})
    taken: set[str] = set()
    arguments = {}
    for name, schema in parameters.get("properties", {}).items():
        if name in parameters.get("required", []):
            arguments[name] = argument(name, schema, text, taken)
    return {"name": tool["function"]["name"], "arguments": arguments}


def random_tool(case: Case) -> Reply:
    if not case.tools:
        return Reply(said="I don't know.")
    tool = random.Random(case.id).choice(case.tools)
    return Reply(calls=[filled(tool, case.messages[-1]["content"] or "")])


def bm25_tool(case: Case) -> Reply:
    """No call when no word of any tool is in the request."""
    text = case.messages[-1]["content"] or ""
    if not case.tools or case.messages[-1]["role"] != "user":
        return Reply(said="I don't know.")
    scores = bm25(words_of(text), [description(tool) for tool in case.tools])
    best = max(range(len(scores)), key=scores.__getitem__)
    if scores[best] == 0:
        return Reply(said="I don't know.")
    call = filled(case.tools[best], text)
    missing = [name for name, value in call["arguments"].items() if value is None]
    if missing:
        return Reply(said=f"Which {missing[0].replace('_', ' ')}, please?")
    return Reply(calls=[call])


BASELINES = {"random tool": random_tool, "BM25": bm25_tool}
