"""Remove secrets from addresses before they are shown, and separate credentials from addresses."""

from __future__ import annotations

import re
from urllib.parse import unquote

USER_INFO = re.compile(r"(?<=://)[^/?#\s]*@")
UNESCAPED_USER_INFO = re.compile(r"(?<=://)\S*@")
"""Also matches passwords with characters that should have been escaped, such as a slash."""

QUERY = re.compile(r"(?<=[\w/])\?\S*=\S*")


def redact_uri(uri: str) -> str:
    """The address with user, password and query replaced by ***; a query may contain a token."""
    return QUERY.sub("?***", UNESCAPED_USER_INFO.sub("***@", uri))


def uri_secrets(uri: str) -> list[str]:
    """The secret parts of an address (password, user, query), both as written and decoded, the longest first."""
    found = [
        match.group().removesuffix("@") for kind in (USER_INFO, UNESCAPED_USER_INFO) for match in kind.finditer(uri)
    ]
    parts = [*found, *(part for one in found for part in one.split(":", 1)), *QUERY.findall(uri)]
    return sorted({text for part in parts for text in (part, unquote(part)) if text}, key=len, reverse=True)


def split_credentials(uri: str) -> tuple[str, dict[str, str]]:
    """A server's address without user and password, and the environment variables by which MLflow reads these."""
    found = USER_INFO.search(uri)
    if found is None or not uri.startswith("http"):
        return uri, {}
    user, _, password = found.group().removesuffix("@").partition(":")
    names = {"MLFLOW_TRACKING_USERNAME": unquote(user), "MLFLOW_TRACKING_PASSWORD": unquote(password)}
    return USER_INFO.sub("", uri, count=1), names
