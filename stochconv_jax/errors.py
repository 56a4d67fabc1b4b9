"""Mistakes that a user can mend."""


class InputError(ValueError):
    """Says in one sentence what is wrong with a file or a field and what to do about it."""
