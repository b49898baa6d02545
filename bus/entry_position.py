"""The place of an entry among others, from its id."""


def entry_position(entry_id: str) -> tuple[int, int]:
    """An entry's id as two numbers, which compare as entries follow one another. The first is milliseconds.

    Raises ValueError for what is no id.
    """
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence)
