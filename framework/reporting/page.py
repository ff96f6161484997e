"""Pages: one HTML file with everything in it, without scripts and without a network, for screens of any width, dark ones, and paper."""

from collections.abc import Iterable, Sequence
from html import escape

from framework.reporting.drawing import Picture

CSS = """
:root { color-scheme: light dark; --text: #1b1f24; --soft: #57606a; --line: #d0d7de; --back: #ffffff; --band: #f6f8fa; --link: #0757ba; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6edf3; --soft: #9aa4ae; --line: #3d444d; --back: #0d1117; --band: #161b22; --link: #6cb6ff; }
}
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back); margin: 0 auto; max-width: 68rem; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; padding-bottom: 0.25rem; border-bottom: 1px solid var(--line); }
p, li { overflow-wrap: anywhere; }
a { color: var(--link); }
.soft, figcaption { color: var(--soft); font-size: 0.875rem; }
.verdict { background: var(--band); border-left: 4px solid var(--link); padding: 0.5rem 0.75rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.8125rem; font-variant-numeric: tabular-nums; margin: 0.5rem 0; }
th, td { padding: 0.25rem 0.45rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top; }
th { color: var(--soft); font-weight: 600; white-space: normal; vertical-align: bottom; }
.text, .wide { text-align: left; }
td.wide { white-space: normal; min-width: 9rem; overflow-wrap: anywhere; }
figure { margin: 1rem 0; overflow-x: auto; }
figure svg { display: block; width: 100%; height: auto; }
pre { background: var(--band); padding: 0.75rem; overflow-x: auto; font-size: 0.8125rem; }
summary { cursor: pointer; color: var(--link); }
@media print {
  :root { --text: #000; --soft: #333; --line: #bbb; --back: #fff; --band: #fff; --link: #000; }
  body { max-width: none; font-size: 11px; }
  figure, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  .scroll { overflow: visible; }
}
"""


def html_page(title: str, *parts: str) -> str:
    """A whole page."""
    head = '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">'
    policy = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
    body = "\n".join(filter(None, parts))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n{head}\n{policy}\n<title>{text_of(title)}</title>\n<style>{CSS}</style>\n</head>\n'
        f"<body>\n<h1>{text_of(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def text_of(value: object) -> str:
    """A value as text in HTML; half a surrogate pair, which no encoding has, is written as its number."""
    written = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return escape(written, quote=False)


def section(title: str, *parts: str) -> str:
    """A part of a page with a heading; nothing where all its parts are empty."""
    body = "\n".join(filter(None, parts))
    return f"<h2>{text_of(title)}</h2>\n{body}" if body else ""


def paragraph(text: object, kind: str = "") -> str:
    """Nothing for an empty text."""
    return f"<p{f' class={kind!r}' if kind else ''}>{text_of(text)}</p>" if str(text) else ""


def items(texts: Iterable[object]) -> str:
    """A list; nothing where it is empty."""
    lines = "".join(f"<li>{text_of(text)}</li>" for text in texts)
    return f"<ul>{lines}</ul>" if lines else ""


class Cell(str):
    """A cell that is HTML already."""


def link(target: str, text: str) -> Cell:
    """A link to a file beside the page."""
    from urllib.parse import quote

    return Cell(f'<a href="{quote(target)}">{text_of(text)}</a>')


def table(head: Sequence[object], rows: Sequence[Sequence[object]], texts: int = 0, wide: Sequence[int] = ()) -> str:
    """A table. texts: how many columns, from the first, are short texts, as in `comparing.tables`. wide: columns of longer texts, which are
    broken into lines."""
    if not rows:
        return ""

    def line(cells: Sequence[object], tag: str) -> str:
        kinds = (' class="wide"' if place in wide else ' class="text"' if place < texts else "" for place in range(len(cells)))
        shown = (cell if isinstance(cell, Cell) else text_of(str(cell).strip()) for cell in cells)
        return "<tr>" + "".join(f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, shown, strict=True)) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    return f'<div class="scroll"><table>\n<thead>{line(head, "th")}</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'


class Block(str):
    """A block of HTML among lines of text."""


def table_block(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 0) -> list[str]:
    """A table as the functions of `comparing.tables` make one."""
    return [Block(table(head, rows, texts))]


def from_lines(lines: Iterable[str]) -> str:
    """Lines of text and blocks; indented lines are items of a list."""
    made: list[str] = []
    for line in lines:
        if isinstance(line, Block):
            made.append(line)
        elif line.startswith("  "):
            made.append(items([line.strip()]))
        else:
            made.append(paragraph(line[:1].upper() + line[1:]))
    return "\n".join(filter(None, made)).replace("</ul>\n<ul>", "\n")


def figures(pictures: Iterable[Picture], *names: str) -> str:
    """The pictures whose names begin with one of these, with their captions."""
    wanted = [each for each in pictures if each.name.startswith(names)]
    return "\n".join(f"<figure>{each.svg}<figcaption>{text_of(each.caption)}</figcaption></figure>" for each in wanted)


def folded(title: str, *parts: str) -> str:
    """Parts that are shown on demand; nothing where they are empty."""
    body = "\n".join(filter(None, parts))
    return f"<details><summary>{text_of(title)}</summary>\n{body}\n</details>" if body else ""


def preformatted(text: str) -> str:
    return f"<pre>{text_of(text)}</pre>"
