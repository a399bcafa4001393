"""Lets tests import the helpers of the evaluation's and the report's tests."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "evaluation"), str(TESTS / "reporting")]
