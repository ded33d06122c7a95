"""A reproducible recommendation pipeline: MovieLens CSV to silver tables, an ALS model and top-N lists.

The names below are public. Everything else in the package is internal and may change in any version.

```python
import reco_platform

lakehouse = reco_platform.open("results/demo")
ratings = lakehouse.table("ratings", columns=["user_id", "movie_id", "rating"]).to_pandas()
rmse = lakehouse.metrics()["evaluation"]["rmse"]
lists = lakehouse.recommend(user=1, n=10).to_pandas()
```

[asking.md](asking.md) shows every question with examples.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reco_platform.config.load import load_config
    from reco_platform.core.errors import RecoError
    from reco_platform.serving.answers import (
        Explanation,
        ListedMovie,
        ModelCard,
        Movie,
        Movies,
        Prediction,
        Predictions,
        RatedMovie,
        Reason,
    )
    from reco_platform.serving.errors import AmbiguousTitleError, QuestionError, UnknownMovieError, UnknownUserError
    from reco_platform.serving.lakehouse import OpenLakehouse
    from reco_platform.serving.lakehouse import open_lakehouse as open

__version__ = "0.1.0"
__all__ = [
    "AmbiguousTitleError",
    "Explanation",
    "ListedMovie",
    "ModelCard",
    "Movie",
    "Movies",
    "OpenLakehouse",
    "Prediction",
    "Predictions",
    "QuestionError",
    "RatedMovie",
    "Reason",
    "RecoError",
    "UnknownMovieError",
    "UnknownUserError",
    "__version__",
    "load_config",
    "open",
]

ANSWERS = (
    "Movies",
    "Movie",
    "ListedMovie",
    "RatedMovie",
    "Reason",
    "Explanation",
    "Predictions",
    "Prediction",
    "ModelCard",
)
ERRORS = ("QuestionError", "UnknownMovieError", "AmbiguousTitleError", "UnknownUserError")
EXPORTS = {
    "open": ("reco_platform.serving.lakehouse", "open_lakehouse"),
    "OpenLakehouse": ("reco_platform.serving.lakehouse", "OpenLakehouse"),
    **{name: ("reco_platform.serving.answers", name) for name in ANSWERS},
    "RecoError": ("reco_platform.core.errors", "RecoError"),
    **{name: ("reco_platform.serving.errors", name) for name in ERRORS},
    "load_config": ("reco_platform.config.load", "load_config"),
}
"""Where the public names are defined: each module is imported at the first use, since they import large packages."""


def __getattr__(name: str) -> Any:
    if name not in EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = EXPORTS[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
