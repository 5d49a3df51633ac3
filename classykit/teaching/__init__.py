"""Predictions and exercises that check themselves."""

from classykit.teaching.check import Checked, check, progress
from classykit.teaching.exercises import Exercise, Exercises

__all__ = ["Checked", "Exercise", "Exercises", "check", "progress"]
