"""No part of an address that is secret is shown."""

from __future__ import annotations

import json

import pytest

from reco_platform.config.load import load_config
from reco_platform.config.secrets import redact_config
from reco_platform.core.errors import ConfigError
from reco_platform.core.redaction import redact_uri, split_credentials, uri_secrets


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://mlflow.example.org/path", "https://mlflow.example.org/path"),
        ("https://reco:p%40ss@mlflow.example.org", "https://***@mlflow.example.org"),
        ("https://token@mlflow.example.org", "https://***@mlflow.example.org"),
        ("postgresql://host/db?user=me&password=hush", "postgresql://host/db?***"),
        ("sqlite:///folder/mlflow.db", "sqlite:///folder/mlflow.db"),
    ],
)
def test_user_password_and_query_are_not_shown(address: str, shown: str) -> None:
    assert redact_uri(address) == shown
    assert not any(secret in shown for secret in uri_secrets(address))


def test_secrets_are_found_as_they_stand_and_decoded() -> None:
    assert {"p%40ss", "p@ss", "reco"} <= set(uri_secrets("https://reco:p%40ss@host"))


def test_user_and_password_of_a_server_go_by_environment() -> None:
    address, variables = split_credentials("https://reco:p%40ss@host:8080/path")
    assert address == "https://host:8080/path"
    assert variables == {"MLFLOW_TRACKING_USERNAME": "reco", "MLFLOW_TRACKING_PASSWORD": "p@ss"}
    assert split_credentials("postgresql://me:hush@host/db") == ("postgresql://me:hush@host/db", {})


def test_a_refused_address_is_named_without_its_password() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config({"mlflow_tracking_uri": "ftp://reco:hush@host"}, {})
    assert "ftp://***@host" in str(caught.value) and "hush" not in str(caught.value)


def test_parameters_of_steps_hold_a_digest_of_the_address_that_its_password_does_not_change() -> None:
    one, other, elsewhere = (
        load_config({"mlflow_tracking_uri": uri}, {}) for uri in ("http://a:1@h", "http://b:2@h", "http://g")
    )
    assert one.shaping() == other.shaping() != elsewhere.shaping()
    assert load_config(one.shaping(), {}).mlflow_tracking_uri == one.shaping()["mlflow_tracking_uri"]
    assert "a:1" not in json.dumps([one.shaping(), redact_config(one)])
