"""What the values of a column are: numbers, times, booleans, ids; their scale and unit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reco_platform.core.rating_scale import RatingScale
from reco_platform.datasets.text_columns import FALSE, TRUE

INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
DECIMAL = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
COMMA = re.compile(r"\s*[+-]?[0-9]+,[0-9]+\s*")
UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?)?\s*(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
PATTERNS = (
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y", "%d.%m.%y %H:%M", "%d.%m.%y",
    "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S.%f UTC", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d",
    "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y", "%d/%m/%Y",
    "%m/%d/%Y %I:%M:%S %p", "%d/%m/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%m/%d/%y %H:%M", "%d/%m/%y %H:%M",
    "%m/%d/%y", "%d/%m/%y", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%d-%m-%Y", "%m-%d-%Y",
    "%a %b %d %H:%M:%S %z %Y", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S %z", "%m %d, %Y", "%B %d, %Y",
    "%b %d, %Y", "%d %B %Y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %Y %H:%M", "%d %b %Y, %H:%M", "%Y.%m.%d",
    "%Y%m%d%H%M%S", "%Y%m%d", "%Y-%m", "%d/%b/%Y:%H:%M:%S %z",
)  # fmt: skip
"""Patterns of strptime, tried in this order."""

UNITS = (("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9))
FIRST_YEAR, LAST_YEAR = 1990, 2040
PLAUSIBLE = (datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp(), datetime(LAST_YEAR, 1, 1, tzinfo=UTC).timestamp())
"""Seconds between which the times of a data set are expected."""

EXCEL_DAYS = (25_569.0, 51_501.0)
"""Days since 1899-12-30, as Excel counts, from 1970 to 2040."""

EVENTS = frozenset((
    "view", "views", "cart", "purchase", "click", "buy", "pv", "fav", "play", "addtocart", "add_to_cart", "transaction",
    "remove_from_cart", "wishlist", "like", "share", "impression", "order", "bought", "viewed", "purchased", "clicked",
    "kauf", "ansicht", "klick", "warenkorb", "skip", "complete", "listen", "watch", "download", "install", "favorite",
    "bookmark", "added_to_cart", "add-to-cart", "product_view", "checkout", "detail", "page_view", "return", "rate",
    "save", "read", "visit", "open", "search", "begin_checkout", "view_item", "select_item", "started", "finished",
    "comment", "follow", "rent", "stream",
))  # fmt: skip
MANY = 400
"""A column of ratings has fewer different values."""

ENOUGH = 0.9
"""Share of values from which on a column counts as being of a kind."""

MAX_DISTINCT = 100_000


@dataclass(frozen=True)
class TimeGuess:
    """A unit that fits the values of a column.

    Attributes:
        unit: s, ms, us, ns, iso8601, excel, or a pattern of strptime.
        share: of the filled values that it fits.
        first: the earliest time, as text.
        last: the latest one.
        others: further units that fit as well.
    """

    unit: str
    share: float
    first: str
    last: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Profile:
    """What the values of a column are.

    Attributes:
        name: of the column, or its position.
        rows: number of values, empty ones included.
        filled: number of values that are not empty.
        distinct: number of different ones.
        kind: integer, decimal, comma (decimals written 4,5), boolean, event, uuid, list or text.
        share: of the filled values that are of this kind.
        least, greatest: of numbers.
        counts: the most frequent values with their numbers.
        time: the unit of time that fits; None if none does.
        length: average number of characters.
        bounded: number of values with blanks or control characters around them.
        example: a value.
    """

    name: str
    rows: int
    filled: int
    distinct: int
    kind: str
    share: float
    least: float | None
    greatest: float | None
    counts: tuple[tuple[str, int], ...]
    time: TimeGuess | None
    length: float
    bounded: int
    example: str

    @property
    def is_numeric(self) -> bool:
        return self.kind in {"integer", "decimal", "comma"}

    @property
    def is_constant(self) -> bool:
        return self.distinct == 1

    @property
    def fits_int32(self) -> bool:
        """Whether every value is a whole number as MovieLens has them."""
        return self.kind == "integer" and self.share == 1 and (self.least or 0) >= 0 and (self.greatest or 0) < 2**31


def is_number(text: str) -> bool:
    return bool(DECIMAL.fullmatch(text) or COMMA.fullmatch(text))


def is_time_text(text: str) -> bool:
    return bool(ISO.fullmatch(text.strip())) or any(parsed(text, pattern) for pattern in PATTERNS if len(text) > 7)


def number(text: str) -> float:
    return float(text.replace(",", "."))


def profile(name: str, values: Sequence[str], *, nested: bool = False, type_name: str = "") -> Profile:
    """The profile of a column.

    Args:
        name: of the column.
        values: as text.
        nested: whether they are lists or objects.
        type_name: the type in a Parquet file, if it is one.
    """
    filled = [value for value in values if value.strip() and value.strip() not in {"NULL", "null", "NaN", "nan", "\\N"}]
    counts = Counter(filled)
    kind, share = ("list", 1.0) if nested else kind_of(filled, counts)
    numbers = []
    if kind in {"integer", "decimal", "comma"}:
        numbers = [number(value) for value in counts if is_number(value)]
    time = None if nested else time_of(filled, kind, type_name)
    return Profile(
        name, len(values), len(filled), len(counts), kind, share, min(numbers, default=None),
        max(numbers, default=None), tuple(counts.most_common(12)), time,
        sum(map(len, filled)) / max(len(filled), 1), sum(value != value.strip() for value in filled),
        filled[0] if filled else "",
    )  # fmt: skip


def kind_of(filled: Sequence[str], counts: Counter[str]) -> tuple[str, float]:
    """What most of the values are, and their share."""
    if not filled:
        return "empty", 1.0
    tests = (
        ("integer", INTEGER.fullmatch),
        ("decimal", DECIMAL.fullmatch),
        ("comma", lambda value: COMMA.fullmatch(value) or INTEGER.fullmatch(value)),
        ("boolean", lambda value: value.strip().lower() in {*TRUE, *FALSE}),
        ("event", lambda value: len(counts) <= 30 and value.strip().lower() in EVENTS),
        ("uuid", UUID.fullmatch),
    )
    for kind, fits in tests:
        share = sum(times for value, times in counts.items() if fits(value)) / len(filled)
        if share >= ENOUGH and (kind != "boolean" or len(counts) <= 4):
            return kind, share
    return "text", 1.0


# --- time


def parsed(text: str, pattern: str) -> datetime | None:
    try:
        return datetime.strptime(text.strip(), pattern)  # its zone is a setting of its own
    except ValueError:
        return None


def time_of(filled: Sequence[str], kind: str, type_name: str = "") -> TimeGuess | None:
    """The unit in which the values of a column are times; None if they are none."""
    looked_at = filled[:: max(len(filled) // 500, 1)][:500]
    if not looked_at:
        return None
    if type_name.startswith(("timestamp", "date")):
        return TimeGuess("iso8601", 1.0, min(looked_at)[:19], max(looked_at)[:19])
    if kind in {"integer", "decimal", "comma"}:
        return numeric_time(looked_at) or text_time(looked_at, ("%Y%m%d%H%M%S", "%Y%m%d"))
    if kind != "text":
        return None
    fitting = [value for value in looked_at if ISO.fullmatch(value.strip())]
    if len(fitting) >= ENOUGH * len(looked_at):
        return TimeGuess("iso8601", len(fitting) / len(looked_at), min(fitting)[:19], max(fitting)[:19])
    return text_time(looked_at, PATTERNS)


def numeric_time(values: Sequence[str]) -> TimeGuess | None:
    """Seconds or fractions of them since 1970, or Excel's days."""
    numbers = [number(value) for value in values if is_number(value)]
    for unit, per_second in UNITS:
        fitting = [one / per_second for one in numbers if PLAUSIBLE[0] <= one / per_second <= PLAUSIBLE[1]]
        if len(fitting) >= ENOUGH * len(values):
            return TimeGuess(unit, len(fitting) / len(values), day(min(fitting)), day(max(fitting)))
    days = [one for one in numbers if EXCEL_DAYS[0] <= one <= EXCEL_DAYS[1]]
    if len(days) >= ENOUGH * len(values) and any("." in value or "," in value for value in values):
        first, last = ((one - 25_569) * 86_400 for one in (min(days), max(days)))
        return TimeGuess("excel", len(days) / len(values), day(first), day(last))
    return None


def day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def text_time(values: Sequence[str], patterns: Sequence[str]) -> TimeGuess | None:
    """Dates by a pattern; where several fit all values, the others are named too."""
    found = []
    for pattern in patterns:
        if parsed(values[0], pattern) is None and parsed(values[-1], pattern) is None:
            continue
        times = [
            time for value in values if (time := parsed(value, pattern)) and FIRST_YEAR - 20 < time.year <= LAST_YEAR
        ]
        if len(times) >= ENOUGH * len(values):
            first, last = (time.strftime("%Y-%m-%d") for time in (min(times, key=naive), max(times, key=naive)))
            found.append(TimeGuess(pattern, len(times) / len(values), first, last))
    if not found:
        return None
    best = max(found, key=lambda one: one.share)
    others = tuple(one.unit for one in found if one is not best and one.share >= best.share)
    return TimeGuess(best.unit, best.share, best.first, best.last, others)


def naive(time: datetime) -> datetime:
    return time.replace(tzinfo=None)


# --- rating scales

SCALES = (
    (1, 5), (0.5, 5), (0, 5), (1, 10), (0, 10), (0.5, 10), (-1, 1), (0, 1), (1, 7), (1, 4), (1, 6), (0, 100), (1, 100),
    (-10, 10), (0, 4), (-5, 5),
)  # fmt: skip
"""Least and greatest rating of common scales."""

STEPS = (1, 0.5, 0.25, 0.1, 0.01)


@dataclass(frozen=True)
class ScaleGuess:
    """The scale of a column of ratings.

    Attributes:
        scale: the smallest common one that contains nearly all values.
        is_reached: whether the values come near both of its ends.
        others: smaller common scales that contain most values.
    """

    scale: RatingScale
    is_reached: bool
    others: tuple[RatingScale, ...] = ()


NEARLY_ALL, MOST = 0.99, 0.8


def scale_of(values: Sequence[str]) -> ScaleGuess | None:
    """The scale of ratings; None if the values are none."""
    counts = Counter(number(value) for value in values if is_number(value))
    total, step = counts.total(), step_of(counts)
    if not counts or (len(counts) > MANY and step >= 1):
        return None
    fitting = []
    for least, greatest in SCALES:
        inside = [one for one in counts if least <= one <= greatest]
        share = sum(counts[one] for one in inside) / total
        if share >= MOST and (step != 1 or least % 1 == 0):
            unused = min(inside) - least + greatest - max(inside)
            fitting.append(
                (
                    share,
                    greatest - least,
                    unused <= 0.05 * (greatest - least),
                    RatingScale(least, greatest, step or None),
                )
            )
    whole = [one for one in fitting if one[0] >= NEARLY_ALL]
    if not whole:
        return None
    _, width, is_reached, scale = min(whole, key=lambda one: (not one[2], one[1], one[3].least))
    smaller = tuple(one[3] for one in fitting if one[1] < width and one[2] and one[0] < NEARLY_ALL)
    others = () if is_reached else smaller
    return ScaleGuess(scale, is_reached, others)


def step_of(counts: Counter[float]) -> float:
    """The distance of which nearly all values are multiples; 0 if there is none."""
    total = counts.total()
    for step in STEPS:
        if sum(times for x, times in counts.items() if abs(round(x / step) * step - x) < 1e-6) >= NEARLY_ALL * total:
            return step
    return 0
