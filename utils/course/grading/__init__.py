"""Submissions: what was handed in, the sandbox it runs in, the verdicts computed outside of it, and the grades."""
