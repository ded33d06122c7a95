#!/usr/bin/env python3
"""The command `reco`, for a checkout in which it is not installed."""

import sys

from reco_platform.cli.main import main

sys.exit(main())
