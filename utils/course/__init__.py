"""The `course` command: start, run, sync, results, doctor. Plumbing, kept apart from what the course teaches."""

import sys

# nbformat imports jsonschema, and that imports rfc3987_syntax where it is installed (JupyterLab brings it): a parser of
# internationalized addresses that takes far longer to import than all the rest of this command. The schema of notebooks
# has no such address. None means "not installed" to an import, and jsonschema then leaves this check out.
sys.modules.setdefault("rfc3987_syntax", None)


class CourseError(Exception):
    """A mistake that its maker can fix: the command prints the message, without a stack trace, and exits with 1."""
