"""Lets tests import the helpers that stand beside them, and those of the evaluation's tests."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "reporting"), str(TESTS / "evaluation")]
