"""The pages in a real browser: what they show, where clicks lead, and that nothing leaves the machine."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import plotly.offline
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from robustness import dashboards
from tests.dashboards.conftest import click_panel, ready, visiting
from tests.service.live import HOSTILE, READ, WRITE, Live

pytestmark = pytest.mark.browser

PAGES = [
    "/",
    "/studies/filled",
    "/studies/filled?cell=adam,1.0,default",
    "/studies/other?shade=difference",
    "/compare?a=filled&b=other",
    "/new",
]
MOST_BYTES = 1_000_000
SLOW_DRAWING = """
let plotly;
Object.defineProperty(window, "Plotly", {
  get: () => plotly,
  set: (given) => {
    plotly = given;
    const react = given.react;
    plotly.react = async (...drawing) => {
      const drawn = await react(...drawing);
      await new Promise((resolve) => setTimeout(resolve, 3000));
      return drawn;
    };
  },
});
"""
"""As on a machine that is busy: three seconds between a drawing and what follows it."""


def query(page: Page) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).query).items()}


def test_studies_are_listed_with_state_progress_and_what_diverged_last(page: Page) -> None:
    ready(page)
    item = page.locator(".studies > li", has_text="filled")
    expect(item).to_contain_text("cancelled")
    expect(item).to_contain_text("11 of 12 trials")
    expect(item).to_contain_text("Last to become not finite: adam, learning rate 1, default, at step 30")
    page.get_by_label("Find").fill("another")
    expect(page.locator(".studies > li")).to_have_count(1)
    page.reload()  # what is looked for is in the address
    expect(page.locator(".studies > li")).to_have_count(1)
    expect(page.get_by_label("Find")).to_have_value("another")
    page.get_by_label("Find").fill("nothing of the kind")
    expect(page.get_by_text("No study has that in its name or title.")).to_be_visible()


def test_a_study_shows_its_answer_its_pictures_its_table_and_its_spec(page: Page, served: Live) -> None:
    page.goto(f"{served.url}/studies/filled")
    ready(page)
    assert page.title() == f"{HOSTILE} · Robustness studies"
    for name in ("Answer", "Heatmap", "More figures", "Table", "Spec"):
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    expect(page.locator("#answer")).to_contain_text("Share of trials that diverged")
    expect(page.locator("#table-section .paper tbody tr")).to_have_count(2)
    page.get_by_text("The spec", exact=True).click()
    spec = json.loads(page.locator("#spec-section pre").inner_text())
    assert spec["name"] == "filled"
    assert spec["title"] == HOSTILE


def test_text_of_users_is_text_wherever_it_is_shown(page: Page, served: Live) -> None:
    for path in PAGES:
        page.goto(served.url + path)
        ready(page)
        assert page.locator("img[src='x']").count() == 0


def test_a_square_leads_to_its_trials_and_a_trial_to_its_curve(page: Page, served: Live) -> None:
    page.goto(f"{served.url}/studies/filled")
    ready(page)
    click_panel(page, 1, 0.75, 0.5)
    rows = page.locator("#trials-section tbody tr")
    expect(rows).to_have_count(3)
    assert query(page)["cell"] == "adam,1,default"
    expect(rows.first).to_contain_text("nonfinite")
    expect(rows.nth(2)).to_contain_text("waiting")
    page.get_by_role("link", name="seed 1").click()
    expect(page.locator("#curve-section .step")).to_contain_text("not finite from step 30 on")
    expect(page.locator("#curve .plotly").first).to_be_visible()
    page.reload()  # its address has all of it
    expect(page.locator("#curve-section .step")).to_contain_text("not finite from step 30 on")
    page.go_back()
    expect(page.locator("#curve-section .step")).to_have_count(0)
    expect(rows).to_have_count(3)


def test_a_click_waits_for_a_picture_that_is_drawn_and_does_not_listen_yet(page: Page, served: Live) -> None:
    page.add_init_script(SLOW_DRAWING)
    page.goto(f"{served.url}/studies/other")
    click_panel(page, 0, 0.75, 0.5)  # as soon as it is there
    expect(page.locator("#trials-section tbody tr")).to_have_count(3)


def test_what_is_kept_for_one_reader_leads_nobody_to_that_readers_square(page: Page, served: Live) -> None:
    for search in ("?cell=adam,0.1,default", ""):
        page.goto(f"{served.url}/studies/other{search}")
        ready(page)
        assert page.locator(".switch a").count() > 10
        assert page.locator(".switch a[href*='cell']").count() == 0


def test_a_square_is_reached_by_keyboard_through_the_table_under_the_picture(
    page: Page, served: Live
) -> None:
    page.goto(f"{served.url}/studies/other?optimizer=adam")
    ready(page)
    page.locator("#heatmap-section summary").focus()
    page.keyboard.press("Enter")
    link = page.get_by_role("link", name="adam, 1, orthogonal")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#trials-section tbody tr")).to_have_count(3)
    expect(page.locator("#trials-section h2")).to_contain_text("adam, learning rate 1, orthogonal")


@pytest.mark.parametrize("shade", ["Not finite", "Not trained", "Score", "Difference of two"])
def test_the_switch_shows_the_same_squares_by_another_rule(page: Page, served: Live, shade: str) -> None:
    page.goto(f"{served.url}/studies/other")
    ready(page)
    page.get_by_role("link", name=shade, exact=True).click()
    expect(page.locator("#heatmap-section [aria-current]").first).to_have_text(shade)
    expect(page.locator("#heatmap .plotly").first).to_be_visible()
    click_panel(page, 0, 0.75, 0.5)
    expect(page.locator("#trials-section tbody tr")).to_have_count(3)


def test_a_difference_is_of_the_two_that_were_chosen(page: Page, served: Live) -> None:
    page.goto(f"{served.url}/studies/other?shade=difference")
    ready(page)
    page.get_by_label("Share of").select_option("adam")
    page.get_by_label("minus that of").select_option("plain")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#heatmap")).to_contain_text("adam minus plain")
    assert query(page) | {"a": "adam", "b": "plain"} == query(page)


def test_the_table_is_copied_as_the_latex_that_the_api_gives(page: Page, served: Live) -> None:
    page.goto(f"{served.url}/studies/filled")
    ready(page)
    page.get_by_role("button", name="Copy as LaTeX").click()
    expect(page.locator("#said")).to_contain_text("clipboard")
    with served.client() as client:
        wanted = client.get("/studies/filled/table", params={"format": "latex"}).text
    assert page.evaluate("navigator.clipboard.readText()") == wanted


def test_every_download_of_a_study_is_there(page: Page, served: Live) -> None:
    page.goto(f"{served.url}/studies/other")
    ready(page)
    links = page.eval_on_selector_all(".downloads a, a[download]", "found => found.map(a => a.href)")
    assert len(links) > 10
    with served.client() as client:
        for link in links:
            if "format=p" not in link and "format=svg" not in link:  # pictures take a browser each
                answer = client.get(link)
                assert answer.status_code == 200, link
                assert answer.content, link


def test_two_studies_stand_beside_each_other_with_their_intervals(page: Page, served: Live) -> None:
    page.goto(f"{served.url}/compare")
    ready(page)
    first, second = page.get_by_label("Study"), page.get_by_label("and")
    assert first.input_value() != second.input_value()
    first.select_option("filled")
    second.select_option("other")
    page.get_by_role("button", name="Compare").click()
    ready(page)
    expect(page.locator(".halves .plot")).to_have_count(2)
    row = page.locator("#compared tbody tr", has_text="adam").filter(has_text="divergence_rate").first
    expect(row).to_contain_text(re.compile(r"0\.5.*\[.*\].*0\.333.*\[.*\]", re.DOTALL))


def test_a_spec_is_checked_as_it_is_typed_and_launched_only_when_it_is_right(
    page: Page, served: Live
) -> None:
    page.goto(f"{served.url}/new")
    ready(page)
    expect(page.locator("#checked")).to_contain_text("1,280 trials in 256 cells")
    spec = page.get_by_label("Spec")
    wrong = spec.input_value().replace('model = "mlp"', 'model = "mlq"')
    spec.fill(wrong)
    expect(page.locator("#checked")).to_contain_text("tasks[0].model")
    expect(page.locator("#checked")).to_contain_text("mlp")
    expect(page.get_by_role("button", name="Launch")).to_be_disabled()
    spec.fill(wrong.replace("mlq", "mlp").replace('"quickstart"', '"other"'))
    expect(page.locator("#checked")).to_contain_text("There is a study 'other' already")


def test_a_launch_is_estimated_by_such_trials_of_this_store_or_by_what_was_measured_once(
    page: Page, served: Live
) -> None:
    page.goto(f"{served.url}/new")
    ready(page)
    # Those of this store took 0.1 s an epoch each: 1,280 trials x 10 epochs.
    expect(page.locator("#checked")).to_contain_text("About 21.3 min of one core, by the last such trials")
    spec = page.get_by_label("Spec")
    text = spec.input_value()
    spec.fill(text.replace('model = "mlp"', 'model = "toy-cnn"'))
    expect(page.locator("#checked")).to_contain_text("of one core, as measured on one machine")
    spec.fill(text.replace('data = "digits"', 'data = "mnist1d"'))
    expect(page.locator("#checked")).to_contain_text("there is no estimate of its time")


def test_the_form_writes_the_spec(page: Page, served: Live) -> None:
    page.goto(f"{served.url}/new")
    ready(page)
    page.get_by_label("Name").fill("by-form")
    page.get_by_role("button", name="adamw").click()
    page.get_by_label("Lowest learning rate").fill("low")
    page.get_by_label("Lowest learning rate").blur()
    expect(page.locator("#checked")).to_contain_text("search.lr.low")
    page.get_by_label("Lowest learning rate").fill("1e-3")
    page.get_by_label("Lowest learning rate").blur()
    expect(page.locator("#checked")).to_contain_text("440 trials in 88 cells")
    assert 'name = "by-form"' in page.get_by_label("Spec").input_value()


def test_a_study_is_edited_as_a_new_one(page: Page, served: Live) -> None:
    page.goto(f"{served.url}/studies/filled")
    ready(page)
    page.get_by_role("link", name="Edit as a new study").click()
    expect(page.get_by_label("Spec")).to_have_value(re.compile('"name": "filled-2"'))
    expect(page.locator("#checked")).to_contain_text("12 trials")


def test_a_launch_is_queued_cancelled_and_deleted_from_the_page(page: Page, served: Live) -> None:
    page.goto(f"{served.url}/new")
    ready(page)
    text = page.get_by_label("Spec").input_value().replace('"quickstart"', '"passing"')
    page.get_by_label("Spec").fill(text)
    expect(page.get_by_role("button", name="Launch")).to_be_enabled()
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url(f"{served.url}/studies/passing")
    expect(page.locator("h1")).to_contain_text("queued")
    expect(page.locator("#answer")).to_contain_text("Nothing is complete yet")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("h1")).to_contain_text("cancelled")
    page.on("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(f"{served.url}/")
    with served.client() as client:
        assert client.get("/studies/passing").status_code == 404


def test_a_study_without_trials_says_so_in_every_section(page: Page, served: Live) -> None:
    served.store.register("begun")
    page.goto(f"{served.url}/studies/begun")
    ready(page)
    expect(page.locator("#heatmap-section")).to_contain_text("'begun' has no trials yet")
    expect(page.locator("#figures-section")).to_contain_text("'begun' has no trials yet")
    expect(page.locator("#spec-section")).to_contain_text("There is no spec yet")
    with served.client() as client:
        assert client.delete("/studies/begun").status_code == 204


def test_whoever_may_only_read_sees_everything_and_changes_nothing(browser: Browser, served: Live) -> None:
    with visiting(browser, served.url, READ, complaints=1) as page:  # the browser tells of the 403
        page.goto(f"{served.url}/studies/filled")
        ready(page)
        page.get_by_role("button", name="Resume").click()
        expect(page.locator("#said")).to_contain_text("this token may only read")
    with served.client() as client:
        assert client.get("/studies/filled").json()["state"] == "cancelled"


@pytest.mark.parametrize("path", [*PAGES, "/assets/style.css", "/_dash-layout", "/_dash-dependencies"])
def test_nothing_is_shown_without_the_token(served: Live, path: str) -> None:
    answer = httpx.get(served.url + path, headers={"accept": "text/html"})
    assert answer.status_code == 401
    assert "filled" not in answer.text.replace(path, "").replace(path.replace("&", "&amp;"), "")


def test_an_unknown_page_a_deleted_study_and_a_bad_address_say_so(page: Page, served: Live) -> None:
    page.goto(f"{served.url}/studies/filled?task=nope&cell=adam,1.0,default")
    ready(page)
    expect(page.locator("#heatmap-section")).to_contain_text("there is no task 'nope'")
    page.goto(f"{served.url}/studies/filed")
    expect(page.locator("#study-head")).to_contain_text("filed")
    expect(page.locator("#study-head")).to_contain_text("filled")  # the nearest
    answer = httpx.get(f"{served.url}/nowhere", headers={"authorization": f"Bearer {WRITE.secret}"})
    assert answer.status_code == 404


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_pages_fit_the_screen_and_a_screen_reader_finds_its_way(
    browser: Browser, served: Live, width: int, scheme: str
) -> None:
    size = {"width": width, "height": 844}
    with visiting(browser, served.url, viewport=size, color_scheme=scheme) as page:
        for path in PAGES:
            page.goto(served.url + path)
            ready(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
            found = Axe().run(page).response["violations"]
            grave = [v for v in found if v["impact"] in ("serious", "critical")]
            assert not grave, (path, [(v["id"], [n["html"][:200] for n in v["nodes"]]) for v in grave])


def test_no_page_takes_a_megabyte(browser: Browser, served: Live) -> None:
    for path in ("/studies/filled?cell=adam,1.0,default", "/compare?a=filled&b=other"):
        with visiting(browser, served.url) as page:  # each with nothing kept
            page.goto(served.url + path)
            ready(page)
            sizes = page.evaluate(
                "[...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]"
                ".map(entry => entry.transferSize)"
            )
            assert 0 < sum(sizes) < MOST_BYTES, path


def test_pictures_have_no_button_that_sends_them_away(page: Page, served: Live) -> None:
    page.goto(f"{served.url}/studies/other")
    ready(page)
    page.locator("#heatmap").hover()
    assert page.locator(".modebar-btn").count() == 0


def test_plotly_in_the_pages_is_the_version_that_draws() -> None:
    script = Path(dashboards.__file__).parent / "assets" / "plotly-cartesian.min.js"
    assert f"v{plotly.offline.get_plotlyjs_version()}" in script.read_text(encoding="utf-8")[:200]


def test_the_pages_import_neither_torch_nor_ray() -> None:
    program = "import sys, robustness.dashboards; print({'torch', 'ray', 'optuna'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
