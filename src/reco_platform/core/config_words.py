"""The words KEY=VALUE that `--config` takes."""

from __future__ import annotations

from collections.abc import Iterable

from reco_platform.core.errors import ConfigError


def split_words(words: Iterable[str]) -> dict[str, str]:
    """Keys and values as typed; of several values of one key the last.

    Raises:
        ConfigError: for a word without `=`, or a value at which Snakemake fails before it reads the Snakefile.
    """
    return dict(map(split_word, words))


def split_word(word: str) -> tuple[str, str]:
    """The key and the value of one word; raises as `split_words`."""
    key, separator, value = word.partition("=")
    if not separator:
        raise ConfigError(f"--config {word!r}: expected KEY=VALUE", "for example --config rank=20")
    if value and value.lstrip()[:1] in {"", "#"}:  # to Snakemake an empty YAML document
        raise ConfigError(
            f"{key}={value!r} (from --config) is not allowed: a value does not begin with #, and is not blank",
            f"write a folder as {key}=./{value}",
        )
    return key, value
