"""Small tables of figures for people."""


def table(columns, rows):
    """Lines of a table.

    Args:
        columns: headings; the first is that of the row names.
        rows: row name → figures.
    """
    cells = [list(columns)]
    for name, figures in rows.items():
        cells.append([name, *(_told(figure) for figure in figures)])
    widths = [max(len(row[column]) for row in cells) for column in range(len(columns))]
    lines = []
    for row in cells:
        first, *rest = (cell for cell in row)
        padded = [first.ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join(padded).rstrip())
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def _told(figure):
    # Four places say nothing of a small threshold.
    return f"{figure:.4f}" if figure == 0 or abs(figure) >= 0.01 else f"{figure:.4g}"
