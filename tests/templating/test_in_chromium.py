"""The starters as a browser shows them: light and dark, at 360 px, with nothing loaded."""

import json
import re

import pytest

from system.chromium import chromium
from vaguemestre.templating import starters
from vaguemestre.templating.rendering import compose

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.filterwarnings("ignore::ResourceWarning")]
READABLE = 4.5  # WCAG 2.2 AA
# Of each element with words of its own: its colour, and the first background behind it that is one.
PAINTED = """() => [...document.body.querySelectorAll('*')]
  .filter(one => [...one.childNodes].some(node => node.nodeType === 3 && node.data.trim()))
  .map(one => {
    let behind = one;
    while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
    return [one.textContent.trim(), getComputedStyle(one).color, getComputedStyle(behind).backgroundColor];
  })"""


@pytest.fixture(scope="module", name="chromium")
def _chromium():
    with chromium() as browser:
        yield browser


def luminance(colour):
    parts = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_starters_are_readable_and_fit_a_narrow_screen_with_images_off(chromium, scheme):
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 360, "height": 800})
    window, asked, backgrounds = context.new_page(), [], set()
    window.route("**/*", lambda route: (asked.append(route.request.url), route.abort()))
    for key in starters.all_keys():
        for language in starters.languages(key):
            data = json.loads(starters.sample(key))
            window.set_content(compose(starters.starter(key, language), data, language).html)
            assert window.evaluate("document.documentElement.scrollWidth") == 360, (key, language)
            for words, colour, background in window.evaluate(PAINTED):
                assert contrast(colour, background) >= READABLE, (key, language, words, colour, background)
                backgrounds.add(luminance(background) > 0.5)
    assert [url for url in asked if not url.startswith("cid:")] == []
    assert (True in backgrounds) is (scheme == "light")
    context.close()
