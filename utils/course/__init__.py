"""The `course` command: start, run, sync, results, doctor. Plumbing, kept apart from what the course teaches."""


class CourseError(Exception):
    """A mistake that its maker can mend: the command prints the message, without a stack trace, and exits with 1."""
