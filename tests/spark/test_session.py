"""A step's session has the settings that its result depends on."""

from __future__ import annotations

import pytest

from reco_platform.contracts.spark_settings import RESULT_SETTINGS
from reco_platform.spark import session


@pytest.mark.spark
def test_a_steps_session_has_the_settings_that_its_result_depends_on(spark: object) -> None:
    found = session.spark_session("step", RESULT_SETTINGS, "error")
    assert {key: found.conf.get(key) for key in RESULT_SETTINGS} == RESULT_SETTINGS
    assert found.conf.get("spark.driver.host") == "127.0.0.1"
    assert found.conf.get("spark.ui.enabled") == "false"
    assert found._jvm.org.apache.spark.SparkEnv.get().securityManager().isAuthenticationEnabled()
    found.sparkContext.setLogLevel("WARN")
