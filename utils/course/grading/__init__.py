"""Submissions: what was submitted, the sandbox it runs in, the verdicts computed outside of it, and the grades."""
