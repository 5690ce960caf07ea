"""The `course` command: start, run, sync, results, doctor. Plumbing, kept apart from what the course teaches."""

import sys

# Reading a notebook imports jsonschema, whose optional check of internationalised addresses takes a second to import;
# no notebook has use for it, and every command would wait for it.
sys.modules.setdefault("rfc3987_syntax", None)


class CourseError(Exception):
    """A mistake that its maker can mend: the command prints the message, without a stack trace, and exits with 1."""
