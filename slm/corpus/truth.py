"""Results that are not free: a sum is right, a unit converted rightly, a total the sum of parts."""

import ast
import operator

from slm.corpus.values import Value, whole

SIGNS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

# unit: (quantity, size in the quantity's first unit, offset)
UNITS: dict[str, tuple[str, float, float]] = {}
for quantity, listed in {
    "length": "m metres meters=1;km kilometres kilometers=1000;cm centimetres=0.01;mm=0.001;"
    "miles=1609.344;feet ft=0.3048;inches=0.0254;yards=0.9144",
    "mass": "kg kilograms kilos=1;g grams=0.001;tonnes=1000;pounds lb lbs=0.45359237;"
    "ounces oz=0.028349523;stone=6.35029318",
    "volume": "l litres liters=1;ml=0.001;gallons=3.785411784;cups=0.2365882365;pints=0.473176473;"
    "fluid_ounces=0.0295735296;tablespoons=0.0147867648",
    "time": "seconds=1;minutes=60;hours=3600;days=86400;weeks=604800",
    "speed": "m/s=1;km/h=0.2777777778;mph=0.44704;knots=0.5144444444",
    "data": "MB megabytes=1;GB gigabytes=1000;TB=1000000",
    "area": "m2 square_metres=1;square_feet=0.09290304;acres=4046.8564224;hectares=10000",
}.items():
    for entry in listed.split(";"):
        names, _, size = entry.partition("=")
        for name in names.split():
            UNITS[name.replace("_", " ")] = (quantity, float(size), 0)
for name in ("°C", "celsius"):
    UNITS[name] = ("temperature", 1, 0)
for name in ("°F", "fahrenheit"):
    UNITS[name] = ("temperature", 5 / 9, -32)
UNITS["kelvin"] = ("temperature", 1, -273.15)
LOWER = {name.lower(): unit for name, unit in UNITS.items()}


def evaluate(expression: str) -> float:
    """The value of a sum of figures, `+ - * /` and brackets."""

    def value(node) -> float:
        if isinstance(node, ast.BinOp):
            return SIGNS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Constant):
            return node.value
        raise ValueError(f"no sum: {expression!r}")

    return value(ast.parse(expression, mode="eval").body)


def convert(value: float, old: str, new: str) -> float:
    """A quantity in another unit of the same kind.

    >>> round(convert(212, "°F", "celsius"))
    100
    """
    (_, size, offset), (_, other, other_offset) = LOWER[old.lower()], LOWER[new.lower()]
    return (value + offset) * size / other - other_offset


def rounded(value: float) -> Value:
    """Four significant digits behind the point at most, whole where it is."""
    return whole(round(value, 2 if abs(value) >= 10 else 4))


def results(tool: str, arguments: dict, slots: set[str], drawn) -> dict[str, Value]:
    """What is known of the slots of a tool's result; `drawn(slot)` gives a free one."""
    if tool == "calculate":
        value = rounded(evaluate(arguments["expression"]))
        return dict.fromkeys(("number", "integer", "money"), value)
    if tool == "convert_units":
        value = convert(arguments["value"], arguments["from_unit"], arguments["to_unit"])
        return dict.fromkeys(("number", "integer"), rounded(value))
    if tool == "create_price_quote" and {"money1", "money2"} <= slots:
        unit = drawn("money1")
        return {"money1": unit, "money2": rounded(round(unit * arguments["quantity"], 2))}
    return {}
