"""Compare entries by their ids."""


def entry_position(entry_id: str) -> tuple[int, int]:
    """Return an entry's id as milliseconds and sequence, which sort as entries follow one another.

    Raises ValueError for what is no id.
    """
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)
