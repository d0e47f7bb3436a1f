"""What fills a slot: open sets of names, ids, dates, figures and phrases, by their kind.

`make(rng, words, "money")` gives a pair: the text as somebody types it ("1,249.50") and what a call
holds of it (1249.5). For most kinds the two are the same, because arguments are copied.
"""

import random
import re
import string
import unicodedata
from collections.abc import Callable

from slm.corpus.reading import Words

ONSETS = "b br c ch d dr f fl g gr h j k kl l m n p pr r s sh sk st t tr v w z".split()
VOWELS = "a e i o u aa ai au ea ee ie oo ou é ö ü á".split()
CODAS = ["", "", "", "n", "r", "l", "s", "m", "nd", "rg", "ck", "th", "t", "x"]
MONTHS = """January February March April May June July August September October November
December""".split()
WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
ONES = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen""".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()

Value = str | int | float


def in_words(number: int) -> str:
    """0 to 99 in words.

    >>> in_words(21)
    'twenty-one'
    """
    if number < 20:
        return ONES[number]
    ten, one = divmod(number, 10)
    return TENS[ten - 2] + (f"-{ONES[one]}" if one else "")


def digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def letters(rng: random.Random, count: int) -> str:
    return "".join(rng.choices(string.ascii_uppercase, k=count))


def mixed(rng: random.Random, count: int) -> str:
    """Small letters and digits, as tokens have them."""
    return "".join(rng.choices("abcdefghjkmnpqrstuvwxyz23456789", k=count))


# ---- names


def word(rng: random.Random) -> str:
    """A capitalised name that no list holds: 'Drauberg', 'Skeenal'."""
    count = rng.choice([2, 2, 3])
    parts = (rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(count))
    return "".join(parts).capitalize()


def first_name(rng: random.Random, words: Words) -> str:
    return rng.choice(words["first_names"]) if rng.random() < 0.85 else word(rng)


def last_name(rng: random.Random, words: Words) -> str:
    return rng.choice(words["last_names"]) if rng.random() < 0.8 else word(rng)


def person(rng: random.Random, words: Words) -> str:
    first, last = first_name(rng, words), last_name(rng, words)
    return rng.choices(
        [f"{first} {last}", first, f"{first[0]}. {last}", last, f"{rng.choice(TITLES)} {last}"],
        [60, 15, 6, 4, 15],
    )[0]


TITLES = ["Mr.", "Mrs.", "Ms.", "Dr.", "Mr", "Mrs", "Ms", "Prof."]


def company(rng: random.Random, words: Words) -> str:
    dice = rng.random()
    if dice < 0.5:
        return rng.choice(words["companies"])
    name = rng.choice([last_name(rng, words), word(rng), city(rng, words)])
    ending = rng.choice(COMPANY_ENDINGS)
    return f"{name} {ending}"


COMPANY_ENDINGS = """GmbH;Ltd;Inc.;& Sons;Partners;Trading;AG;LLC;SpA;Brothers;B.V.;Oy;Group;& Co.
International;Holding;S.A.;Supplies;Services""".replace("\n", ";").split(";")


def city(rng: random.Random, words: Words) -> str:
    if rng.random() < 0.75:
        return rng.choice(words["cities"])
    prefix = rng.choice(["", "", "", "New ", "San ", "Port ", "Bad ", "St. ", "Upper "])
    return prefix + word(rng)


def street(rng: random.Random, words: Words) -> str:
    name = rng.choice([last_name(rng, words), word(rng), *rng.sample(STREETS, 3)])
    kind = rng.choice(["Street", "Road", "Lane", "Avenue", "Square", "Way", "St", "Rd"])
    number = rng.randint(1, 240)
    return rng.choice([f"{number} {name} {kind}", f"{name} {kind} {number}"])


STREETS = """Mill;Church;Station;Park;River;High;King;Garden;Harbour;Market;Oak;School;Bridge;Lake
Castle;Forest;North;Tower;Rose;Union;Victoria;Meadow;Spring;Hill;Queen;Abbey;Canal
Chapel""".replace("\n", ";").split(";")


def place(rng: random.Random, words: Words) -> str:
    dice = rng.random()
    if dice < 0.5:
        return city(rng, words)
    return rng.choice(words["places"]) if dice < 0.8 else street(rng, words)


def room(rng: random.Random, words: Words) -> str:
    dice = rng.random()
    if dice < 0.7:
        return rng.choice(words["rooms"])
    if dice < 0.85:
        kind = rng.choice(["office", "room", "lab", "hall", "studio", "ward", "apartment", "zone"])
        return f"{kind} {rng.choice([rng.randint(1, 420), rng.choice(string.ascii_uppercase)])}"
    kind = rng.choice(["room", "office", "bedroom", "suite"])
    return f"{first_name(rng, words)}'s {kind}"


def email(rng: random.Random, words: Words) -> str:
    first = rng.choice([first_name(rng, words), word(rng)])
    last = rng.choice([last_name(rng, words), word(rng)])
    user = rng.choice(
        [
            *(f"{first}.{last}", first, f"{first[0]}.{last}", f"{last}{digits(rng, 2)}"),
            *(f"{first}_{last}", rng.choice(["info", "office", "sales", "hr"])),
        ]
    )
    host = rng.choice(["example.com", "example.org", "mail.example", "post.example"])
    if rng.random() < 0.6:
        host = f"{rng.choice([word(rng), last_name(rng, words)])}.{rng.choice(DOMAINS)}"
    return ascii_only(f"{user}@{host}".lower())


DOMAINS = "com org net de eu io co.uk fr nl se it es in br ca ch at dk no pl".split()


def ascii_only(text: str) -> str:
    """Without accents, spaces and apostrophes, as addresses are."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return "".join(letter for letter in plain if not letter.isspace() and letter != "'")


def recipient(rng: random.Random, words: Words) -> str:
    return email(rng, words) if rng.random() < 0.5 else person(rng, words)


def provider(rng: random.Random, words: Words) -> str:
    if rng.random() < 0.6:
        return f"{rng.choice(['Dr.', 'Dr'])} {last_name(rng, words)}"
    return rng.choice(["PRV-", "P-", "DOC", "prov_", "D"]) + digits(rng, rng.randint(2, 4))


# ---- codes


PREFIXES = {
    "order": ["ORD", "ORDER", "PO", "SO", "WEB", "A", "B", "O"],
    "customer": ["C", "CUST", "K", "CU", "CLIENT", "KD"],
    "invoice": ["INV", "RE", "F", "I", "FAC", "BILL"],
    "product": ["SKU", "BX", "P", "ART", "LMP", "TX", "item"],
    "patient": ["P", "PAT", "MRN", "PT"],
    "meeting": ["M", "MTG", "EV", "CAL", "mtg"],
    "system": ["srv", "SYS", "POS", "NODE", "db"],
}


def code(rng: random.Random, _words: Words | None = None, about: str = "") -> str:
    """An id of one of many shapes: 'A-1042', 'ORD-77213', '558231', '2026/118', 'kx-20-81'.

    about: an argument's name; `order_id` makes prefixes of orders likely.
    """
    known = next((value for key, value in PREFIXES.items() if key in about), None)
    prefix = rng.choice(known) if known and rng.random() < 0.5 else letters(rng, rng.randint(1, 4))
    if rng.random() < 0.12:
        prefix = prefix.lower()
    number = digits(rng, rng.choice([2, 3, 3, 4, 4, 4, 5, 5, 6]))
    shape = rng.randrange(12)
    if shape < 4:
        return f"{prefix}-{number}"
    if shape < 6:
        return f"{prefix}{number}"
    if shape == 6:
        return digits(rng, rng.randint(3, 8))
    if shape == 7:
        return f"{rng.randint(2023, 2027)}{rng.choice('-/')}{number}"
    if shape == 8:
        return f"{prefix}-{digits(rng, 2)}-{digits(rng, rng.randint(2, 3))}"
    if shape == 9:
        return f"{prefix}{rng.choice('-_/')}{rng.randint(2023, 2027)}{rng.choice('-_/')}{number}"
    if shape == 10:
        return f"{prefix}-{number}{rng.choice(string.ascii_uppercase)}"
    return (
        f"#{number}"
        if rng.random() < 0.4
        else f"{letters(rng, 1)}{digits(rng, 1)}{letters(rng, 1)}{number}"
    )


def token(rng: random.Random, _words: Words) -> str:
    parts = [mixed(rng, rng.choice([3, 4, 4, 6])) for _ in range(rng.choice([1, 2, 2, 3]))]
    text = "-".join(parts) if len(parts) > 1 else parts[0] + mixed(rng, 4)
    return text.upper() if rng.random() < 0.2 else text


def ip(rng: random.Random, _words: Words) -> str:
    start = rng.choice(["10.0", "192.168", "172.16", f"10.{rng.randint(1, 250)}"])
    return f"{start}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"


def file(rng: random.Random, words: Words) -> str:
    stem = rng.choice(["report", "invoice", "scan", "notes", "budget", "photo", "draft", word(rng)])
    tail = rng.choice(["", "_q3", f"_{digits(rng, 4)}", f"-{digits(rng, 2)}", "_final", " v2"])
    ending = rng.choice("pdf docx csv txt png jpg xlsx md zip json".split())
    return f"{ascii_only(stem).lower()}{tail.replace(' ', '_')}.{ending}"


def version(rng: random.Random, _words: Words) -> str:
    return ".".join(str(rng.randint(0, 24)) for _ in range(rng.choice([2, 3, 3])))


def phone(rng: random.Random, _words: Words) -> str:
    return rng.choice(
        [
            f"+{rng.randint(20, 99)} {digits(rng, 3)} {digits(rng, 6)}",
            f"0{digits(rng, 3)}-{digits(rng, 6)}",
            f"555-{digits(rng, 4)}",
            f"({digits(rng, 3)}) {digits(rng, 3)}-{digits(rng, 4)}",
        ]
    )


def url(rng: random.Random, words: Words) -> str:
    host = f"{ascii_only(word(rng)).lower()}.{rng.choice(DOMAINS)}"
    path = rng.choice(["", "/shop", "/docs", f"/p/{digits(rng, 3)}", "/login"])
    return rng.choice(["https://", "https://www.", "www.", ""]) + host + path


def ticker(rng: random.Random, words: Words) -> str:
    if rng.random() < 0.4:
        return rng.choice(words["tickers"])
    return letters(rng, rng.choice([3, 4, 4, 5])) + rng.choice(["", "", "", ".DE", ".L"])


# ---- days and times


def date(rng: random.Random, _words: Words | None = None) -> str:
    day, month = rng.randint(1, 28), rng.randrange(12)
    year = rng.randint(2025, 2028)
    name = MONTHS[month]
    if rng.random() < 0.4:
        return rng.choice(
            [
                *("today", "tomorrow", "tomorrow"),
                *rng.choices(WEEKDAYS, k=2),
                f"next {rng.choice(WEEKDAYS)}",
                f"this {rng.choice(WEEKDAYS)}",
            ]
        )
    return rng.choice(
        [
            f"{year}-{month + 1:02}-{day:02}",
            f"{year}-{month + 1:02}-{day:02}",
            f"{day} {name}",
            f"{name} {day}",
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
            f"{name} {ordinal(day)}",
            f"the {ordinal(day)} of {name}",
            f"{day:02}.{month + 1:02}.{year}",
            f"{day}/{month + 1}/{year}",
            f"{name[:3]} {day}",
            f"{day} {name[:3]}",
        ]
    )


def day(rng: random.Random, _words: Words) -> str:
    """A day by its date alone, which may lie behind or ahead."""
    return f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(2025, 2027)}"


def ordinal(day: int) -> str:
    """1 as '1st'."""
    return f"{day}{'th' if 10 < day < 14 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"


MINUTES = "00 05 10 15 20 30 30 40 45 50".split()


def time(rng: random.Random, _words: Words | None = None) -> str:
    day_hour, quarter = rng.randint(6, 22), rng.choice(["00", "15", "30", "45"])
    hour, half = (day_hour - 1) % 12 + 1, "am" if day_hour < 12 else "pm"
    return rng.choice(
        [
            f"{rng.randint(6, 22)}:{quarter}",
            f"{rng.randint(6, 22):02}:{rng.choice(MINUTES)}",
            f"{hour} {half}",
            f"{hour}{half}",
            f"{hour}:{quarter} {half}",
            f"{hour}:{quarter}{half}",
            f"{hour}",
            f"half past {in_words(hour)}",
            f"quarter to {in_words(hour)}",
            f"{hour} o'clock",
            rng.choice(
                [
                    "noon",
                    "midday",
                    "midnight",
                    f"{hour} in the {'morning' if half == 'am' else 'evening'}",
                ]
            ),
        ]
    )


def datetime(rng: random.Random, words: Words | None = None) -> str:
    shape = rng.randrange(8)
    if shape < 4:
        return f"{date(rng)} at {time(rng)}"
    if shape == 4:
        part = rng.choice(["morning", "afternoon", "evening"])
        return f"{rng.choice(['tomorrow', *WEEKDAYS])} {part}"
    if shape == 5:
        return date(rng)
    if shape == 6:
        return f"{rng.choice(WEEKDAYS)} {rng.randint(1, 12)} {rng.choice(['am', 'pm'])}"
    return rng.choice(
        ["tonight", "this evening", "this afternoon", f"{time(rng)} today", f"{time(rng)} tomorrow"]
    )


def since(rng: random.Random, _words: Words) -> str:
    return rng.choice(
        [
            *("yesterday", "last night", "this morning", "last week", "the weekend", "Christmas"),
            rng.choice(WEEKDAYS),
            f"last {rng.choice(WEEKDAYS)}",
            f"{rng.choice(MONTHS)}",
            f"{rng.randint(2, 9)} days ago",
            f"{in_words(rng.randint(2, 6))} weeks ago",
            f"{rng.randint(1, 28)} {rng.choice(MONTHS)}",
            f"{rng.randint(2025, 2027)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
        ]
    )


def date_range(rng: random.Random, _words: Words) -> str:
    day, month = rng.randint(1, 20), rng.randrange(12)
    until = day + rng.randint(1, 8)
    first, last = sorted(rng.sample(range(7), 2))
    return rng.choice(
        [
            *("next week", "this week", "next month", "the week after next"),
            f"{day} to {until} {MONTHS[month]}",
            f"{MONTHS[month]} {day}-{until}",
            f"{WEEKDAYS[first]} to {WEEKDAYS[last]}",
            f"{WEEKDAYS[first]} or {WEEKDAYS[last]}",
            f"2026-{month + 1:02}-{day:02} to 2026-{month + 1:02}-{until:02}",
            f"the first week of {MONTHS[month]}",
            f"the {rng.choice(['first', 'second'])} half of {MONTHS[month]}",
            f"mid {MONTHS[month]}",
        ]
    )


def duration(rng: random.Random, _words: Words) -> str:
    count = rng.randint(2, 12)
    unit = rng.choice(["hours", "days", "weeks", "minutes"])
    return rng.choice(
        [
            *(f"{count * (5 if unit == 'minutes' else 1)} {unit}", f"{in_words(count)} {unit}"),
            rng.choice(["an hour", "half an hour", "a week", "one day", "two and a half hours"]),
        ]
    )


# ---- figures: (said, meant)


def number_pair(rng: random.Random, value: Value) -> tuple[str, Value]:
    """A figure as it is typed, now and then with a comma for thousands or in words."""
    if isinstance(value, int) and 0 <= value < 100 and rng.random() < 0.12:
        return in_words(value), value
    if value >= 1000 and rng.random() < 0.4:
        return f"{value:,}", value
    return str(value), value


def integer(rng: random.Random, _words: Words) -> tuple[str, Value]:
    most = rng.choice([12, 30, 100, 500])
    return number_pair(rng, rng.randint(2, most))


def small(rng: random.Random, _words: Words) -> tuple[str, Value]:
    return number_pair(rng, rng.randint(2, 12))


def number(rng: random.Random, _words: Words) -> tuple[str, Value]:
    if rng.random() < 0.5:
        return number_pair(rng, rng.randint(1, rng.choice([10, 100, 1000, 9999])))
    return number_pair(
        rng, round(rng.uniform(0, rng.choice([2, 10, 100, 2000])) + 0.1, rng.choice([1, 1, 2]))
    )


def money(rng: random.Random, _words: Words) -> tuple[str, Value]:
    dice = rng.random()
    if dice < 0.4:
        return number_pair(
            rng, rng.choice([rng.randint(2, 99), rng.randint(10, 999), 50 * rng.randint(2, 300)])
        )
    cents = rng.randint(101, rng.choice([2_000, 50_000, 2_000_000]))
    said = f"{cents / 100:,.2f}" if dice > 0.85 else f"{cents / 100:.2f}"
    return said, whole(cents / 100)


def whole(value: float) -> Value:
    """12.0 as 12."""
    return int(value) if value == int(value) else value


def percent(rng: random.Random, _words: Words) -> tuple[str, Value]:
    return number_pair(rng, rng.choice([rng.randint(1, 100), round(rng.uniform(0.1, 30), 1)]))


def temperature(rng: random.Random, low: float = 5, high: float = 30) -> Value:
    """°C; whole in two of three."""
    whole_degrees = rng.randint(int(low), int(high))
    if rng.random() < 0.67:
        return whole_degrees
    return round(whole_degrees + rng.choice([0.5, 0.5, 0.5, 0.1, 0.3, 0.8]), 1)


def degrees(low: float, high: float) -> Callable:
    def make(rng: random.Random, _words: Words) -> tuple[str, Value]:
        value = temperature(rng, low, high)
        return number_pair(rng, value) if low > 0 else (str(value), value)

    return make


def expression(rng: random.Random, _words: Words) -> str:
    def operand() -> str:
        return str(
            rng.choice([rng.randint(2, 20), rng.randint(10, 999), round(rng.uniform(1, 99), 1)])
        )

    text = operand()
    for _ in range(rng.choice([1, 1, 2, 3])):
        if rng.random() < 0.15 and "(" not in text:
            text = f"({text})"
        sign = rng.choice(["+", "-", "*", "/"])
        text += f" {sign} {operand()}" if rng.random() < 0.75 else f"{sign}{operand()}"
    return text


UNITS = [
    "km;kilometres;kilometers;miles;metres;meters;m;cm;centimetres;feet;ft;inches;yards;mm",
    "kg;kilograms;kilos;pounds;lb;lbs;ounces;oz;grams;g;stone;tonnes",
    "litres;liters;l;ml;gallons;cups;pints;fluid ounces;tablespoons",
    "°C;°F;celsius;fahrenheit;kelvin",
    "hours;minutes;seconds;days;weeks",
    "km/h;mph;m/s;knots",
    "MB;GB;TB;megabytes;gigabytes",
    "square metres;square feet;acres;hectares;m2",
]


def unit(rng: random.Random, beside: str = "") -> str:
    """A unit; one of the same quantity as the one it stands beside."""
    fitting = [line for line in UNITS if not beside or beside.lower() in line.lower().split(";")]
    return rng.choice(
        [one for one in rng.choice(fitting).split(";") if one.lower() != beside.lower()]
    )


def listed(name: str) -> Callable:
    return lambda rng, words: rng.choice(words[name])


def choice(text: str) -> Callable:
    entries = text.split(";")
    return lambda rng, words: rng.choice(entries)


# Every kind: a function of (rng, words) that gives a text, or a pair (said, meant).
KINDS: dict[str, Callable] = {
    "id": code,
    "person": person,
    "first_name": first_name,
    "last_name": last_name,
    "name": person,
    "company": company,
    "city": city,
    "country": listed("countries"),
    "street": street,
    "place": place,
    "room": room,
    "email": email,
    "recipient": recipient,
    "provider": provider,
    "phone": phone,
    "url": url,
    "ticker": ticker,
    "date": date,
    "day": day,
    "weekday": choice(";".join(WEEKDAYS)),
    "time": time,
    "datetime": datetime,
    "since": since,
    "range": date_range,
    "duration": duration,
    "integer": integer,
    "number": number,
    "small": small,
    "money": money,
    "price": money,
    "percent": percent,
    "temp": degrees(5, 30),
    "warm": degrees(18, 35),
    "mild": degrees(8, 20),
    "cold": degrees(-15, 2),
    "year": lambda rng, words: (str(year := rng.randint(1950, 2027)), year),
    "expression": expression,
    "token": token,
    "ip": ip,
    "file": file,
    "version": version,
    "colour": listed("colours"),
    "unit": lambda rng, words: unit(rng),
    "language": listed("languages"),
    "word": lambda rng, words: word(rng),
    "product": listed("products"),
    "sky": choice("sunny;cloudy;rainy;foggy;clear;windy;overcast;partly cloudy;misty;stormy"),
    "medicine": listed("medicine"),
    "state": choice("in order;ready;available;in use;on hold;complete;up to date;waiting;locked"),
    "status": choice("open;pending;ready;failed;closed;done;in progress;waiting;cancelled;active"),
}


RANGED = re.compile(
    r"(int|dec|money|mins|hours|days|weeks|months|clock|year)_(\d+)_(\d+)(?:_[a-z])?"
)


UNITS_OF_TIME = {
    "mins": "minutes",
    "hours": "hours",
    "days": "days",
    "weeks": "weeks",
    "months": "months",
}


def ranged(rng: random.Random, kind: str, low: int, high: int) -> tuple[str, Value]:
    """(said, meant) of a figure, a length of time or a clock time between two bounds."""
    if kind == "clock":
        text = f"{rng.randint(low, max(low, high - 1))}:{rng.choice(MINUTES)}"
        return text, text
    if kind in UNITS_OF_TIME:
        count = rng.randint(low, high)
        unit = UNITS_OF_TIME[kind]
        text = f"{count} {unit if count != 1 else unit.removesuffix('s')}"
        return text, text
    if kind == "dec":
        return number_pair(rng, whole(round(rng.uniform(low, high), 1)))
    if kind == "money" and rng.random() < 0.5:
        cents = rng.randint(100 * low, 100 * high)
        return f"{cents / 100:.2f}", whole(cents / 100)
    if kind == "year":
        return str(year := rng.randint(low, high)), year
    return number_pair(rng, rng.randint(low, high))


# Figures that are no argument: of an everyday size, so that what is told makes sense.
MODEST = {
    "integer": "int_2_40",
    "number": "dec_1_60",
    "money": "money_3_180",
    "price": "money_3_180",
    "percent": "int_1_30",
}


def make(
    rng: random.Random, words: Words, kind: str, about: str = "", modest: bool = False
) -> tuple[str, Value]:
    """(said, meant) of a kind; an unknown kind is a KeyError.

    about: the argument's name. modest: figures of an everyday size.
    """
    if modest and kind == "duration":
        kind = rng.choice(["mins_5_50", "mins_5_50", "hours_2_6", "days_2_6"])
    match = RANGED.fullmatch(MODEST.get(kind, kind) if modest else kind)
    if match:
        return ranged(rng, match[1], int(match[2]), int(match[3]))
    made = code(rng, words, about) if kind == "id" else KINDS[kind](rng, words)
    return made if isinstance(made, tuple) else (made, made)
