"""The images of a report: a gallery of cards and a table that can be sorted."""

from __future__ import annotations

from html import escape
from math import isfinite, nan

from delineate.review.page import NONE, Page, cell, percent, plural
from delineate.review.run_folder import ImageResult

_FILTER = (
    '<label class="filter"><span>Filter by name</span>'
    '<input type="search" id="filter" autocomplete="off"></label>'
)


def gallery(page: Page) -> str:
    """A card for every image that has a result: picture, counts and size distribution."""
    run = page.run
    if not run.done:
        text = "No image was segmented." if run.images else "This run had no images."
        return f'<section id="pictures"><h2>Pictures</h2><p class="empty">{text}</p></section>'
    cards = "".join(_card(page, image) for image in run.done)
    many = " many" if len(run.done) > 100 else ""  # drawn by the browser when they come in sight
    note = f" {page.pictures_note}" if page.pictures_note else ""
    return (
        '<section id="pictures"><div class="head"><div><h2>Pictures</h2>'
        f"<p>Outlines of the objects over each image. Click one to enlarge it; the arrow keys go "
        f"on.{note}</p></div>{_FILTER}</div>"
        f'<div class="cards{many}">{cards}</div>'
        '<p class="empty" id="nothing" hidden>No image has such a name.</p></section>'
    )


def _card(page: Page, image: ImageResult) -> str:
    name, picture = escape(image.name), page.pictures.get(image.name)
    if picture is None:
        shown = '<div class="missing">no picture</div>'
    else:
        alt = f"{name} with the outlines of {plural(max(0, image.objects), 'object')}"
        shown = (
            f'<button type="button" class="open" aria-label="Enlarge {name}"><img '
            f'alt="{alt}" width="{picture.width}" height="{picture.height}" '
            f'src="{picture.uri}"></button>'
        )
    facts = f"<b>{plural(image.objects, 'object')}</b>" if image.objects >= 0 else ""
    if isfinite(image.median_diameter) and image.objects > 0:
        facts += f" <span>⌀ {page.diameter(image)}</span>"
    line = page.sizes(image)
    state = " none-found" if image.objects == 0 else ""
    return (
        f'<figure class="card{state}" id="{page.anchors[image.name]}" data-name="{name}">{shown}'
        f"<figcaption>{_title(image.name)}"
        f'<span class="facts">{facts}</span>{line}</figcaption></figure>'
    )


def _title(name: str) -> str:
    """The name of an image, its folder in a line of its own."""
    folder, slash, last = name.rpartition("/")
    above = f'<span class="folder">{escape(folder + slash)}</span>' if slash else ""
    return f'{above}<span class="name" title="{escape(name)}">{escape(last)}</span>'


def table(page: Page) -> str:
    """All images with their numbers, sortable by a click on a heading."""
    run = page.run
    if not run.images:
        return ""
    unit = escape(run.unit)
    heads = ["Image", "Objects", "Diameter (px)", f"Diameter ({unit})", "Sizes", "Foreground"]
    heads += ["Diameter used (px)", "Seconds", "Status"]
    shown = [run.physical or head != f"Diameter ({unit})" for head in heads]
    top = "".join(
        f'<th scope="col">{head}</th>'
        if head == "Sizes"
        else f'<th scope="col" aria-sort="none"><button type="button">{head}</button></th>'
        for head, wanted in zip(heads, shown, strict=True)
        if wanted
    )
    most = max((i.objects for i in run.images), default=0)
    rows = "".join(_row(page, image, most) for image in run.images)
    return (
        '<section id="table"><div class="head"><div><h2>Table</h2><p>The same numbers are in '
        "<code>images.csv</code>, those of every object in <code>objects.csv</code>. Click a "
        'heading to sort.</p></div></div><div class="scroll" tabindex="0" role="region" '
        'aria-label="Table of images"><table><thead><tr>'
        f"{top}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _row(page: Page, image: ImageResult, most: int) -> str:
    name = escape(image.name)
    link = f'<a href="#{page.anchors[image.name]}">{name}</a>' if image.done else name
    share = f"{100 * max(0, image.objects) / max(1, most):.1f}"
    bar = (
        f'<svg class="share" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{share}" height="4"/></svg>'
    )
    cells = [
        f'<th scope="row" data-value="{name}" title="{name}">{link}</th>',
        f'<td data-value="{image.objects}">{image.objects:,}{bar}</td>'
        if image.objects >= 0
        else cell(nan),
        cell(image.median_diameter),
    ]
    if page.run.physical:
        cells.append(cell(image.median_diameter * image.pixel_size))
    cells += [
        f'<td class="sizes">{page.sizes(image) or NONE}</td>',
        cell(image.foreground, percent),
        cell(image.diameter_used),
        cell(image.seconds),
        f'<td class="status {"ok" if image.done else "bad"}" data-value="{escape(image.status)}">'
        f"{escape(image.status)}</td>",
    ]
    return f'<tr data-name="{name}">{"".join(cells)}</tr>'
