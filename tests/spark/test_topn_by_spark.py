"""Top-N lists by Spark equal those of the native search."""

from __future__ import annotations

from typing import Any

import pytest

from reco_platform.models.topn import exact as topn
from reco_platform.models.topn.spark import top_n_by_spark
from support.topn_models import random_model, same_bits, seen_of, some_pairs

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("share", [0.2, 0.003, None])
def test_spark_gives_lists_equal_to_the_bit(spark: Any, share: float | None) -> None:
    """Includes users who have seen nothing, and pairs that the model does not know."""
    model = random_model(300, 90, 12, skew=2.0)
    pairs = some_pairs(model, share or 0)
    features = [(int(id_), row.tolist()) for id_, row in zip(model.users.ids, model.users.factors, strict=True)]
    users = spark.createDataFrame(features, "id int, features array<float>").repartition(5)
    seen = spark.createDataFrame([*pairs, (7, 1), (10, 5000)], "user_id int, movie_id int") if share else None
    assert same_bits(top_n_by_spark(users, model, 7, seen), topn.top_n(model, 7, seen_of(model, pairs), 2))
