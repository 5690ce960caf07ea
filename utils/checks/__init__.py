"""Checks tell a student right from wrong: ``check("gmm.e_step", e_step)``."""

from utils.checks.engine import CheckFailed, NotAttempted, UnknownExercise, Verdict, check, exercise_ids, run_check

__all__ = ["CheckFailed", "NotAttempted", "UnknownExercise", "Verdict", "check", "exercise_ids", "run_check"]
