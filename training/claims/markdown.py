"""Figures and tables in Markdown."""

from decimal import ROUND_HALF_UP, Decimal


def percent(value, digits=0) -> str:
    """Halves go up, as on the site: Python alone would round 82.5 to the even 82."""
    if value is None:
        return "–"
    share = Decimal(repr(100 * value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{share} %"


def number(value, digits=2) -> str:
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text


def grid(head, rows):
    """The lines of a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def listed(values, word="and") -> str:
    *most, last = values
    return f"{', '.join(most)} {word} {last}" if most else last


def heading(title, command):
    yield from ("", f"### {title}", "", f"`claims.{command}`", "")
