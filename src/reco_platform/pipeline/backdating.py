"""Receipts with a date in the past: this is how Snakemake learns that a step is stale; see `refresh.set_date`."""

from __future__ import annotations

from pathlib import Path

BACKDATED_NS = 30 * 365 * 86400 * 10**9
"""Offset by which an outdated receipt is backdated (30 years): a receipt this old must be a backdated one."""


def is_backdated(receipt: Path) -> bool:
    return receipt.stat().st_mtime_ns < BACKDATED_NS
