"""Addresses that may hold secrets: what of them may be shown, and what is passed on apart."""

from __future__ import annotations

import re
from urllib.parse import unquote

USER_INFO = re.compile(r"(?<=://)[^/?#\s]*@")
ALMOST = re.compile(r"(?<=://)\S*@")
"""The same where a password holds what it may not, such as a slash."""

QUERY = re.compile(r"(?<=[\w/])\?\S*=\S*")


def redacted(uri: str) -> str:
    """The same without user, password and query, which may hold a token."""
    return QUERY.sub("?***", ALMOST.sub("***@", uri))


def secrets(uri: str) -> list[str]:
    """The parts of an address that nobody may see: password, user and query; as they stand in it and decoded."""
    found = [match.group().removesuffix("@") for kind in (USER_INFO, ALMOST) for match in kind.finditer(uri)]
    parts = [*found, *(part for one in found for part in one.split(":", 1)), *QUERY.findall(uri)]
    return sorted({text for part in parts for text in (part, unquote(part)) if text}, key=len, reverse=True)


def apart(uri: str) -> tuple[str, dict[str, str]]:
    """An address of a server without user and password, and the environment variables by which MLflow takes these."""
    found = USER_INFO.search(uri)
    if found is None or not uri.startswith("http"):
        return uri, {}
    user, _, password = found.group().removesuffix("@").partition(":")
    names = {"MLFLOW_TRACKING_USERNAME": unquote(user), "MLFLOW_TRACKING_PASSWORD": unquote(password)}
    return USER_INFO.sub("", uri, count=1), names
