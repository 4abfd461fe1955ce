"""The report is one safe, self-contained page that shows every image, good or failed."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from io import BytesIO
from math import pi
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from delineate.errors import ReadError
from delineate.image import Image
from delineate.review import report
from delineate.review.charts import histogram, size_bins
from delineate.review.overlay import write_overlay
from delineate.review.report import write_report
from delineate.review.run_folder import read_run
from delineate.review.run_tables import read_object_sizes

VOID = {"meta", "img", "input", "br", "link", "hr"}
HOSTILE = '<script>alert("x")</script>&"\'<img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """Parses a page strictly: every tag closed in order, ids unique; keeps elements and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []
        ids = [a["id"] for _, a in self.elements if "id" in a]
        assert len(ids) == len(set(ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        wanted = {k.rstrip("_").replace("_", "-"): v for k, v in attributes.items()}
        return [a for t, a in self.elements if t == tag and wanted.items() <= a.items()]


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def make_run(
    folder: Path,
    areas: dict[str, list[int]],
    failed: dict[str, str] | None = None,
    pixel_size: float | None = None,
    pictures: bool = True,
    **record: Any,
) -> Path:
    """A run folder as prediction writes it, with objects of the given areas in pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    inputs: list[dict[str, Any]] = []
    for name, sizes in areas.items():
        diameters = 2 * np.sqrt(np.asarray(sizes) / pi)
        images.append(
            {
                "image": name,
                "objects": len(sizes),
                "median_diameter": float(np.median(diameters)) if sizes else "",
                "foreground": sum(sizes) / 1e5,
                "diameter_used": 20.5,
                "seconds": 0.25,
                "status": "done",
            }
        )
        for label, area in enumerate(sizes, 1):
            row: dict[str, Any] = {"image": name, "label": label, "area": area}
            if pixel_size is not None:
                row["area_um2"] = area * pixel_size**2
            objects.append(row)
        inputs.append({"name": f"{name}.tif", "sha256": "ab" * 32, "status": "done"})
        if pictures:
            labels = np.zeros((24, 32), int)
            labels[4:12, 4:12] = bool(sizes)
            pixels = np.arange(24 * 32).reshape(24, 32)
            write_overlay(folder / "overlays" / f"{name}.jpg", Image(pixels, "YX"), labels)
    for name, error in (failed or {}).items():
        inputs.append({"name": name, "status": "failed", "error": error, "seconds": 0.1})
    table(folder / "images.csv", images)
    table(folder / "objects.csv", objects)
    run = {
        "schema": 1,
        "delineate": "0.1.0",
        "command": ["/opt/tools/bin/delineate", "predict", "my images", "-o", "out"],
        "started": "2026-03-04T05:06:07+01:00",
        "seconds": 75.0,
        "model": {"name": "nuclei", "sha256": "cd" * 32},
        "settings": {"run": {"tile": 256}},
        "recipe": {"method": {"name": "flows", "threshold": 0.5}, "seed": 3},
        "inputs": inputs,
    }
    (folder / "run.json").write_text(json.dumps(run | record), encoding="utf-8")
    return folder


def page_of(folder: Path) -> tuple[Page, str]:
    path = write_report(folder)
    assert path == folder / "report.html"
    text = path.read_text(encoding="utf-8")
    return Page(text), text


def test_the_page_says_what_was_run_and_what_came_out(tmp_path: Path) -> None:
    page, _ = page_of(make_run(tmp_path / "out", {"a": [100, 200, 300], "sub/b": [50] * 1200}))
    assert page.all("h1")
    for fact in (
        "1,203 objects in 2 images", "nuclei", "4 March 2026, 05:06", "1 min 15 s", "0.1.0",
        "Size distribution", "delineate predict 'my images' -o out", "threshold: 0.5", "tile: 256",
        "cd" * 32, "ab" * 32 + " a", "1,200 objects", "Stringer",
    ):  # fmt: skip
        assert fact in page.text, fact
    for section in ("pictures", "table", "settings", "notes"):
        assert page.all("section", id=section), section
    assert not page.all("section", id="failures")
    targets = {a["href"] for a in page.all("a")}
    ids = {f"#{a['id']}" for _, a in page.elements if "id" in a}
    assert targets <= ids


def test_every_picture_is_inside_and_nothing_comes_from_elsewhere(tmp_path: Path) -> None:
    page, text = page_of(make_run(tmp_path, {"a": [100], "b": [200]}))
    pictures = page.all("img", alt="a with the outlines of 1 object")
    assert len(pictures) == 1
    uri = pictures[0]["src"] or ""
    assert uri.startswith("data:image/jpeg;base64,")
    content = base64.b64decode(uri.split(",", 1)[1])
    assert content == (tmp_path / "overlays" / "a.jpg").read_bytes()
    with Picture.open(BytesIO(content)) as picture:
        assert str(picture.width) == pictures[0]["width"]
    shown = re.sub(r"(?<=;base64,)[A-Za-z0-9+/=]+", "", text)  # pixels may spell anything
    assert not re.search(r"https?:|//[a-z]|url\(|@import|src=\"(?!data:)", shown)
    assert not page.all("link")


def test_the_security_policy_allows_the_script_and_no_other(tmp_path: Path) -> None:
    page, text = page_of(make_run(tmp_path, {"a": [100]}))
    policy = page.all("meta", http_equiv="Content-Security-Policy")[0]["content"] or ""
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_hostile_names_and_errors_are_only_text(tmp_path: Path) -> None:
    folder = make_run(
        tmp_path,
        {HOSTILE: [100, 200], "$title ${body} %s {x}": [3]},
        failed={HOSTILE + ".tif": HOSTILE},
        pictures=False,
        model={"name": HOSTILE, "sha256": HOSTILE},
        recipe={HOSTILE: {HOSTILE: [HOSTILE]}, "method": HOSTILE},
        command=[HOSTILE],
        delineate=HOSTILE,
    )
    page, _ = page_of(folder)
    assert len(page.all("script")) == 1
    assert not [a for _, a in page.elements if any(k.startswith("on") for k in a)]
    assert not page.all("img", src="x")
    assert HOSTILE in page.text
    assert "$title ${body} %s {x}" in page.text
    assert page.all("tr", data_name=HOSTILE)


def test_huge_and_broken_names_are_carried(tmp_path: Path) -> None:
    long, broken = "x" * 5000, "caf\udce9"
    folder = make_run(tmp_path, {long: [7]}, failed={broken: "no"}, pictures=False)
    page, _ = page_of(folder)
    assert long in page.text
    assert "caf?" in page.text


def test_failures_are_announced_listed_and_left_out_of_the_numbers(tmp_path: Path) -> None:
    folder = make_run(tmp_path, {"a": [100]}, failed={"bad.tif": "bad.tif: ends too early"})
    page, _ = page_of(folder)
    assert "1 object in 1 image" in page.text
    assert "1 image of 2 failed" in page.text
    assert page.all("section", id="failures")
    assert "bad.tif: ends too early" in page.text
    assert len(page.all("tr", data_name="bad.tif")) == 1
    assert not page.all("figure", data_name="bad.tif")


def test_no_objects_and_missing_or_broken_pictures_are_said(tmp_path: Path) -> None:
    folder = make_run(tmp_path, {"none": [], "gone": [9], "broken": [9]})
    (folder / "overlays" / "gone.jpg").unlink()
    (folder / "overlays" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    page, _ = page_of(folder)
    assert page.text.count("no picture") == 2
    assert "0 objects" in page.text
    assert "1 image without any" in page.text
    assert len(page.all("figure", data_name="none", class_="card none-found")) == 1
    assert "nan" not in page.text.lower().replace("name", "")


def test_a_run_without_a_single_object_has_no_charts(tmp_path: Path) -> None:
    page, _ = page_of(make_run(tmp_path, {"a": [], "b": []}))
    assert "0 objects in 2 images" in page.text
    assert not page.all("svg", class_="chart")


def test_an_empty_run_is_a_page_too(tmp_path: Path) -> None:
    folder = make_run(tmp_path, {})
    page, _ = page_of(folder)
    assert "This run had no images." in page.text
    (folder / "images.csv").unlink()
    (folder / "objects.csv").unlink()
    assert page_of(folder)[0].text == page.text
    only_failed, _ = page_of(make_run(tmp_path / "f", {}, failed={"x.tif": ""}))
    assert "No image was segmented." in only_failed.text
    assert "No reason was recorded." in only_failed.text


def test_sizes_are_in_physical_units_where_all_images_have_them(tmp_path: Path) -> None:
    areas = {"a": [314, 314], "b": []}
    page, _ = page_of(make_run(tmp_path, areas, pixel_size=0.5))
    assert "Diameter (µm)" in page.text
    assert "10.0 µm" in page.text
    assert "20.0 px" in page.text
    mixed = make_run(tmp_path / "mixed", {"a": [314], "b": [314]}, pixel_size=0.5)
    table_text = (mixed / "objects.csv").read_text().replace("b,1,314,78.5", "b,1,314,")
    (mixed / "objects.csv").write_text(table_text)
    assert "µm" not in page_of(mixed)[0].text
    assert "µm" not in page_of(make_run(tmp_path / "px", areas))[0].text


@pytest.mark.parametrize(
    ("head", "row", "diameter", "size", "unit"),
    [
        ("equivalent_diameter,equivalent_diameter_um", "20,5", 20, 0.25, "µm"),
        ("equivalent_diameter,equivalent_diameter_furlong", "20,5", 20, 0.25, "furlong"),
        ("area,area_convex,area_um2", "314.159265,9,78.53981625", 20, 0.5, "µm"),
        ("volume,volume_nm3", "4188.790205,33510.32164", 20, 2, "nm"),
        ("area,area_convex", "314.159265,400", 20, np.nan, "µm"),
    ],
)
def test_sizes_are_understood_as_tables_name_them(
    tmp_path: Path, head: str, row: str, diameter: float, size: float, unit: str
) -> None:
    (tmp_path / "objects.csv").write_text(f"image,label,{head}\na,1,{row}\n")
    sizes = read_object_sizes(tmp_path / "objects.csv")
    assert sizes.diameters["a"][0] == pytest.approx(diameter, rel=1e-6)
    assert sizes.pixel_size.get("a", np.nan) == pytest.approx(size, rel=1e-6, nan_ok=True)
    assert sizes.unit == unit


def test_rows_sort_by_numbers_not_by_their_text(tmp_path: Path) -> None:
    _, text = page_of(make_run(tmp_path, {"a": [10] * 2000}))
    assert '<td data-value="2000">2,000' in text
    assert 'data-value="20.5">20.5' in text


def test_many_pictures_are_embedded_small_and_beyond_a_limit_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        report, "EMBEDDINGS", (report.Embedding(1, 1024, 85), report.Embedding(3, 64, 80))
    )
    page, _ = page_of(make_run(tmp_path, {f"i{k}": [5] for k in range(5)}))
    widths = [int(a["width"] or 0) for a in page.all("img") if "width" in a]
    assert widths == [64, 64, 64]
    assert "at most 64 pixels" in page.text
    assert "only the first 3 of 5 are shown" in page.text
    assert page.text.count("no picture") == 2


def test_pictures_outside_the_run_are_not_read(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", {"../../secret": [5]}, pictures=False)
    (folder / "overlays").mkdir()
    Picture.new("RGB", (9, 9)).save(tmp_path / "secret.jpg")
    assert "no picture" in page_of(folder)[0].text


def test_a_failed_report_leaves_the_old_one(tmp_path: Path) -> None:
    folder = make_run(tmp_path, {"a": [10]})
    old = write_report(folder).read_bytes()
    (folder / "images.csv").write_text("image,objects\na\n")
    with pytest.raises(ReadError, match=r"images\.csv: line 2 has 1 cells"):
        write_report(folder)
    assert (folder / "report.html").read_bytes() == old
    assert not list(folder.glob("*.partial*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no run.json"), ("{", "not a readable"), ('{"schema": 9}', "schema 9"), ("[]", "None")],
)
def test_what_is_no_run_is_refused(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(ReadError, match=message):
        write_report(tmp_path)


def test_results_are_found_under_names_with_dots(tmp_path: Path) -> None:
    folder = make_run(tmp_path, {"exp1.2h": [10], "exp1": [20]})
    record = json.loads((folder / "run.json").read_text())
    record["inputs"] = [
        {"name": "exp1.2h.ome.tif", "sha256": "1", "status": "done"},
        {"name": "exp1.tif", "sha256": "2", "status": "done"},
    ]
    (folder / "run.json").write_text(json.dumps(record))
    run = read_run(folder)
    assert [(i.name, i.sha256) for i in run.images] == [("exp1.2h", "1"), ("exp1", "2")]
    assert [i.picture.name for i in run.images if i.picture] == ["exp1.2h.jpg", "exp1.jpg"]
    for entry, name in zip(record["inputs"], ("exp1.2h", "exp1"), strict=True):
        entry["name"] = name  # as a run names them
    (folder / "run.json").write_text(json.dumps(record))
    assert [i.picture for i in read_run(folder).images] == [i.picture for i in run.images]


def test_the_order_of_images_csv_is_kept(tmp_path: Path) -> None:
    page, _ = page_of(make_run(tmp_path, {"z": [1], "a": [2], "m": [3]}))
    assert [a["data-name"] for a in page.all("figure", class_="card")] == ["z", "a", "m"]


def test_bins_hold_every_value_once() -> None:
    values = np.append(np.random.default_rng(0).gamma(9, 2, 5000), 4000.0)
    bins = size_bins(values)
    assert bins.counts(values).sum() == values.size
    assert bins.open_ended
    assert bins.edges[-1] < 100
    closed = size_bins(np.asarray([3.0, 30.0]))
    assert not closed.open_ended
    assert closed.counts(np.asarray([3.0, 30.0])).sum() == 2


@pytest.mark.parametrize("values", [[5.0], [5.0] * 9, [1e-6, 2e-6], [1e7, 3.0]])
def test_histograms_of_odd_samples_stay_inside_their_frame(values: list[float]) -> None:
    drawn = histogram(np.asarray(values), size_bins(np.asarray(values)), "px", "Sizes")
    numbers = [float(n) for n in re.findall(r' (?:x|y|width|height|x1|x2)="([^"]+)"', drawn)]
    assert min(numbers) >= 0
    assert max(numbers) <= 480
    Page(drawn)
