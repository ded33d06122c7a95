"""Trains plain ALS, a baseline: without biases, by the native engine, on the ratings of the model that is evaluated."""

import sys

from reco_platform.engine.runner import run
from reco_platform.steps import plain_training

if __name__ == "__main__":
    sys.exit(run("train_plain", __doc__, plain_training.make))
