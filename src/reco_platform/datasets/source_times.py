"""Times of a user's file as whole seconds since 1970, UTC."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reco_platform.core.arrays import Int64Array
from reco_platform.datasets.source_layout import zone_of
from reco_platform.datasets.text_columns import as_text, text_array

UNITS: Mapping[str, int] = MappingProxyType({"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9})
"""Units by name: how many are a second."""

EXCEL = "excel"
EXCEL_START = datetime(1899, 12, 30)  # its zone is a setting of its own
"""Day 0 of Excel's dates, which are days with a fraction."""

WHOLE = r"^ *[+-]?[0-9]+ *$"
NUMBER = re.compile(r"\s*[+-]?\d+(\.\d*)?\s*")
ZONED = r"([zZ]|[+-][0-9][0-9](:?[0-9][0-9])?) *$"
DATE = re.compile(r"\s*\d{4}-?\d\d-?\d\d([T ].*)?\s*")
ARROW_PATTERN = re.compile(r"(%[YmdHMSy%]|[^%])*")
"""Patterns of strptime that Arrow reads as Python does, in any locale."""

EARLIEST, LATEST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1990, 2100))
"""Where times of a data set are expected, seconds since 1970."""

FIRST_SECOND, END_SECOND = 0, 253_402_300_800


def marked(text: str) -> str:
    """A value that could not be translated: as it is, in quotes where it would be taken for seconds since 1970."""
    return f"'{text}'" if NUMBER.fullmatch(text) else text


@dataclass
class TimeTranslation:
    """Translates columns of times, and counts what the unit makes of them.

    Attributes:
        unit: s, ms, us, ns, iso8601, excel or a pattern of strptime.
        zone: of times that do not name theirs.
        rows: how many values were translated.
        unreadable: how many are not times in this unit.
        fits: for each unit, how many whole numbers are times between 1990 and 2100 in it.
        example: the first value that is not a time in this unit, or lies outside of these years, and its row.
    """

    unit: str
    zone: tzinfo
    rows: int = 0
    unreadable: int = 0
    fits: dict[str, int] = field(default_factory=lambda: dict.fromkeys(UNITS, 0))
    example: tuple[int, str] | None = None

    @classmethod
    def of(cls, unit: str, zone_name: str) -> TimeTranslation:
        return cls(unit, zone_of(zone_name))

    def translate(self, column: pa.Array) -> pa.Array:
        """Seconds as text; a value that is not a time stays as it was written.

        Args:
            column: texts, numbers, dates or timestamps, shape (rows,).
        """
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            seconds = native_seconds(column, self.zone)
            self.rows += len(column)
            return pc.fill_null(pc.cast(seconds, pa.string()), "")
        texts = as_text(column)
        translated = self._from_numbers(texts) if self.unit in UNITS else self._from_dates(texts)
        self.rows += len(texts)
        return translated

    def _from_numbers(self, texts: pa.Array) -> pa.Array:
        try:
            values = pc.cast(texts, pa.int64()).to_numpy(zero_copy_only=False)
            whole = None
        except pa.ArrowInvalid:
            values, whole = whole_numbers(texts)
        self._count(texts, values, whole)
        if self.unit == "s" and whole is None:
            return texts
        seconds = pc.cast(pa.array(values // UNITS[self.unit]), pa.string())
        return seconds if whole is None else chosen(whole, seconds, texts)

    def _count(self, texts: pa.Array, values: Int64Array, whole: np.ndarray | None) -> None:
        known = values if whole is None else values[whole]
        for unit, per_second in UNITS.items():
            self.fits[unit] += int(((known >= EARLIEST * per_second) & (known < LATEST * per_second)).sum())
        per_second = UNITS[self.unit]
        bad = (values < EARLIEST * per_second) | (values >= LATEST * per_second)
        if whole is not None:
            filled = ~is_blank(texts)
            self.unreadable += int((filled & ~whole).sum())
            bad = (bad | ~whole) & filled
        if self.example is None and bad.any():
            at = int(np.argmax(bad))
            self.example = (self.rows + at, shown(texts, at))

    def _from_dates(self, texts: pa.Array) -> pa.Array:
        parse = {"iso8601": iso_seconds, EXCEL: excel_seconds}.get(self.unit, pattern_seconds)
        seconds = parse(texts, self.unit, self.zone)
        if not seconds.null_count:
            return pc.cast(seconds, pa.string())
        missing = np.flatnonzero(pc.is_null(seconds).to_numpy(zero_copy_only=False))
        wrong = missing[~is_blank(texts.take(pa.array(missing)))]
        self.unreadable += len(wrong)
        if self.example is None and len(wrong):
            self.example = (self.rows + int(wrong[0]), shown(texts, int(wrong[0])))
        kept = text_array([marked(text) for text in decodable(texts.take(pa.array(missing)))])
        mask = np.zeros(len(texts), bool)
        mask[missing] = True
        return pc.replace_with_mask(pc.fill_null(pc.cast(seconds, pa.string()), ""), pa.array(mask), kept)

    def problem(self) -> str | None:
        """Why the unit cannot be right: it fails for half of the values or more, or puts them in other years."""
        if not self.rows or self.example is None:
            return None
        value = self.example[1]
        if self.unit not in UNITS:
            return f"{value!r} is not a time in this form" if 2 * self.unreadable >= self.rows else None
        if 2 * self.unreadable >= self.rows:
            return f"{value!r} is not a whole number"
        if 2 * self.fits[self.unit] < self.rows and (unit := self.better_unit()):
            year = 1970 + int(value) / UNITS[self.unit] / (365.25 * 86400) if NUMBER.fullmatch(value) else 0
            return f"{value} is in the year {int(year)}; in {unit} it would be in {int(self.year_in(value, unit))}"
        return None

    def better_unit(self) -> str | None:
        """Another unit in which half of the values or more are times between 1990 and 2100."""
        best = max(UNITS, key=lambda unit: self.fits[unit])
        return best if best != self.unit and 2 * self.fits[best] >= self.rows else None

    @staticmethod
    def year_in(value: str, unit: str) -> float:
        return 1970 + float(value) / UNITS[unit] / (365.25 * 86400)

    def proposal(self) -> str:
        """The value of time_unit that fits the first value that does not fit this one; empty if none is known."""
        if self.example is None:
            return ""
        if unit := self.better_unit():
            return unit
        value = self.example[1].strip()
        if DATE.fullmatch(value) and iso_second(value, UTC) is not None and not value.isdigit():
            return "iso8601"
        if re.fullmatch(r"(19|20)\d\d[01]\d[0-3]\d", value):
            return "%Y%m%d"
        if NUMBER.fullmatch(value):
            return next((u for u in UNITS if EARLIEST <= float(value) / UNITS[u] < LATEST), "")
        return ""


def native_seconds(column: pa.Array, zone: tzinfo) -> pa.Array:
    """int64 seconds of dates or timestamps; those without a zone are in `zone`."""
    times = column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
    if times.type.tz is None:
        times = in_zone(times, zone)
    return floor_seconds(times)


def in_zone(times: pa.Array, zone: tzinfo) -> pa.Array:
    """Local times as instants; of a time that occurs twice the earlier, of a skipped one the next that exists."""
    offset = zone.utcoffset(None)
    if str(zone) == "UTC" or offset is not None:
        micros = pc.subtract(times.cast(pa.int64()), int(offset.total_seconds()) * 10**6 if offset else 0)
        return micros.cast(pa.timestamp("us", "UTC"))
    return pc.assume_timezone(times, str(zone), ambiguous="earliest", nonexistent="latest")


def floor_seconds(times: pa.Array) -> pa.Array:
    micros = times.cast(pa.int64())
    values = micros.fill_null(0).to_numpy(zero_copy_only=False) // 10**6
    return pa.array(values, mask=np.asarray(pc.is_null(micros).to_numpy(zero_copy_only=False)))


def shown(texts: pa.Array, row: int) -> str:
    """A text for a message, shortened; what is not UTF-8 is U+FFFD."""
    return texts.slice(row, 1).cast(pa.binary())[0].as_py()[:80].decode("utf-8", "replace")


def is_blank(texts: pa.Array) -> np.ndarray:
    """Rows without a value, shape (rows,): a missing time says nothing about the unit."""
    return np.asarray(pc.equal(pc.binary_length(pc.ascii_trim(texts, " ")), 0).to_numpy(zero_copy_only=False))


def whole_numbers(texts: pa.Array) -> tuple[Int64Array, np.ndarray]:
    """The numbers in texts, rounded down, and which rows have one; 0 where there is none. Shapes (rows,)."""
    values, whole = np.zeros(len(texts), np.int64), np.zeros(len(texts), bool)
    for row, text in enumerate(decodable(texts)):
        if NUMBER.fullmatch(text):
            number = int(text.partition(".")[0])
            if text.strip().startswith("-") and text.partition(".")[2].strip(" 0"):
                number -= 1
            if -(2**63) <= number < 2**63:
                values[row], whole[row] = number, True
    return values, whole


def iso_seconds(texts: pa.Array, _: str, zone: tzinfo) -> pa.Array:
    """int64 seconds of texts by ISO 8601, with a space or T before the time; null where there is no date."""
    try:
        zoned = pc.match_substring_regex(texts, f":.*{ZONED}")
        if pc.all(zoned).as_py():
            return floor_seconds(pc.cast(texts, pa.timestamp("us", "UTC")))
        if not pc.any(zoned).as_py():
            return floor_seconds(in_zone(pc.cast(texts, pa.timestamp("us")), zone))
    except pa.ArrowInvalid:
        pass
    return pa.array([iso_second(text, zone) for text in decodable(texts)], pa.int64())


def excel_seconds(texts: pa.Array, _: str, zone: tzinfo) -> pa.Array:
    """int64 seconds of days as Excel counts them, with a point or a comma; null where there is no number."""
    return pa.array([excel_second(text, zone) for text in decodable(texts)], pa.int64())


def excel_second(text: str, zone: tzinfo) -> int | None:
    number = text.strip().replace(",", ".")
    if not NUMBER.fullmatch(number):
        return None
    try:
        return second_of(EXCEL_START + timedelta(seconds=round(float(number) * 86_400)), zone)
    except (ValueError, OverflowError):
        return None


def iso_second(text: str, zone: tzinfo) -> int | None:
    text = text.strip()
    if text.isdigit():  # a number of seconds, or a date without hyphens: nobody can tell
        return None
    try:
        return second_of(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError):
        return None


def pattern_seconds(texts: pa.Array, pattern: str, zone: tzinfo) -> pa.Array:
    """int64 seconds of texts by a pattern of strptime; null where a text does not fit."""
    if ARROW_PATTERN.fullmatch(pattern) and "%y" not in pattern:
        try:
            times = pc.strptime(texts, pattern, "s")
            if pc.all(pc.equal(pc.strftime(times, pattern), texts)).as_py():  # Arrow takes 31 February for 2 March
                return floor_seconds(in_zone(times.cast(pa.timestamp("us")), zone))
        except pa.ArrowException:
            pass
    coded = pc.dictionary_encode(texts)
    seconds = [pattern_second(text, pattern, zone) for text in decodable(coded.dictionary)]
    return pa.array(seconds, pa.int64()).take(coded.indices)


def pattern_second(text: str, pattern: str, zone: tzinfo) -> int | None:
    try:
        return second_of(datetime.strptime(text.strip(), pattern), zone)
    except (ValueError, OverflowError):
        return None


def second_of(time: datetime, zone: tzinfo) -> int:
    """Seconds since 1970, rounded down."""
    if time.tzinfo is None:
        time = time.replace(tzinfo=zone)
    return int(time.replace(microsecond=0).timestamp())


def decodable(texts: pa.Array) -> list[str]:
    """Texts as Python has them; bytes that are not UTF-8 become surrogates."""
    return [value.decode("utf-8", "surrogateescape") for value in texts.cast(pa.binary()).to_pylist()]


def chosen(mask: np.ndarray, yes: pa.Array, no: pa.Array) -> pa.Array:
    """Of two text columns the one or the other, by row."""
    return pc.if_else(pa.array(mask), yes, no)
