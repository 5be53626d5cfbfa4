"""The report's page in a browser; skipped where there is no Chromium."""

import html
import re
import shutil
import subprocess

import pytest
from report_inputs import two_analyses

from clmassmod.report import write_report

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
)
SORT_BY_BIAS = """
<script>
const table = document.querySelector("#results table");
const head = [...table.tHead.rows[0].cells].findIndex((cell) => cell.textContent.startsWith("b "));
const read = () => [...table.tBodies[0].rows].map((row) => row.cells[head].dataset.sort).join(",");
const button = table.tHead.rows[0].cells[head].querySelector("button");
button.click(); const up = read(); button.click(); const down = read();
document.getElementById("theme").click();
const probe = document.createElement("pre");
probe.id = "probe";
probe.textContent = [up, down, document.documentElement.dataset.theme].join(";");
document.body.append(probe);
</script>
"""


@pytest.fixture(scope="module")
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine")
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return write_report(two_analyses(), folder)[0].read_text(encoding="utf-8")


def dump(chromium, folder, text):
    """Return the page's document after its scripts ran, and what the browser's console said."""
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    command = [chromium, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [entry for entry in done.stderr.splitlines() if "CONSOLE" in entry]


def test_the_console_is_heard(chromium, page, tmp_path):
    broken = page.replace("</body>", "<script>nothing.of.this.name()</script></body>")
    assert len(dump(chromium, tmp_path, broken)[1]) == 1


def test_scripts_run_without_a_complaint(chromium, page, tmp_path):
    document, console = dump(chromium, tmp_path, page)
    assert console == []
    assert re.search(r'<button[^>]*id="theme"[^>]*>', document).group().count("hidden") == 0


def test_table_sorts_and_the_theme_turns(chromium, page, tmp_path):
    # The page's policy forbids nothing that stands in it, so a script put into a copy runs.
    document, console = dump(chromium, tmp_path, page.replace("</body>", SORT_BY_BIAS + "</body>"))
    up, down, theme = re.search(r'<pre id="probe">([^<]*)</pre>', document).group(1).split(";")
    numbers = [float(x) for x in up.split(",")]
    assert numbers == sorted(numbers)
    assert [float(x) for x in down.split(",")] == numbers[::-1]
    assert theme in ("dark", "light")
    assert console == []


PROBE_STRUCTURE = """
<script>
const probe = document.createElement("pre");
probe.id = "probe";
const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((h) => Number(h.tagName[1]));
const jumps = levels.filter((level, i) => i && level > levels[i - 1] + 1).length;
const silent = [...document.querySelectorAll("figure svg")].filter(
  (svg) => svg.getAttribute("role") !== "img" || !svg.getAttribute("aria-label")).length;
const deaf = [...document.querySelectorAll("th button, .scroll, summary, #theme")].filter(
  (part) => { part.focus(); return part.offsetParent !== null && document.activeElement !== part; }).length;
const boxes = [...document.querySelectorAll(".scroll")];
const unnamed = boxes.filter((box) => !box.getAttribute("aria-label")).length;
probe.textContent = [levels[0], jumps, silent, deaf, unnamed].join(" ");
document.body.append(probe);
</script>
"""


def test_page_can_be_read_without_eyes_or_mouse(chromium, page, tmp_path):
    document, console = dump(chromium, tmp_path, page.replace("</body>", PROBE_STRUCTURE + "</body>"))
    first, *wrong = map(int, re.search(r'<pre id="probe">([^<]*)</pre>', document).group(1).split())
    assert first == 1
    assert wrong == [0, 0, 0, 0], "heading levels jumped, figures without words, parts without focus or name"
    assert console == []


def test_skipped_heading_levels_are_noticed(chromium, page, tmp_path):
    wrong = re.sub(r"<(/?)h2", r"<\1h4", page).replace("</body>", PROBE_STRUCTURE + "</body>")
    document, _ = dump(chromium, tmp_path, wrong)
    assert int(re.search(r'<pre id="probe">([^<]*)</pre>', document).group(1).split()[1]) > 0


def widths(chromium, folder, page, width):
    """Return the width of a frame of the page and that of what it holds."""
    frame = f"""<!doctype html><body><iframe width="{width}" height="800" style="border:0"
        srcdoc="{html.escape(page, quote=True)}"></iframe><pre id="probe"></pre><script>
        const frame = document.querySelector("iframe");
        frame.addEventListener("load", () => {{
          const root = frame.contentDocument.documentElement;
          document.getElementById("probe").textContent = `${{root.clientWidth}} ${{root.scrollWidth}}`;
        }});</script></body>"""
    document, _ = dump(chromium, folder, frame)
    inner, content = map(int, re.search(r'<pre id="probe">(\d+) (\d+)</pre>', document).groups())
    return inner, content


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_nothing_sticks_out_of_the_page(chromium, page, tmp_path, width):
    inner, content = widths(chromium, tmp_path, page, width)
    assert width - 20 <= inner <= width  # less a scroll bar
    assert content <= inner


def test_what_sticks_out_is_noticed(chromium, page, tmp_path):
    wide = page.replace('<div class="scroll">', "<div>")
    inner, content = widths(chromium, tmp_path, wide, 360)
    assert content > inner
