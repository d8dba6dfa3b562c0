import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from fastapi_baseline import ConfigurationError, Settings
from fastapi_baseline.auth.pages import Pages, make_pages
from fastapi_baseline.settings.auth import AuthSettings, PageSettings

FORM: dict[str, Any] = {"action": "/sign-in", "form_token": "token", "return_to": "/"}
HOSTILE = "\"><script>alert(1)</script>'{{ 7 * 7 }}"


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("_css", ".css").replace("_html", ".html")
        path.write_text(text, encoding="utf-8")


def test_a_theme_takes_the_place_of_templates_by_name(tmp_path: Path) -> None:
    text = '{% extends "layout.html" %}{% block title %}Gone{% endblock %}'
    write(tmp_path, signed_out_html=text)

    pages = Pages(title="Shop", theme=tmp_path)

    assert b"<h1>Gone</h1>" in pages.render("signed_out").body
    assert b"<h1>Sign out?</h1>" in pages.render("sign_out", action="/", form_token="token").body


def test_a_theme_can_add_to_a_template_of_the_library(tmp_path: Path) -> None:
    text = '{% extends "library/sign_in.html" %}{% block links %}<a href="/help">Help</a>{% endblock %}'
    write(tmp_path, sign_in_html=text)

    page = Pages(title="Shop", theme=tmp_path).render("sign_in", **FORM).body

    assert b'name="password"' in page
    assert b'<a href="/help">Help</a>' in page


def test_a_theme_has_a_style_of_its_own_and_its_own_pictures(tmp_path: Path) -> None:
    style = "body { color: red }\n"
    write(tmp_path, style_css=style)

    response = Pages(title="Shop", theme=tmp_path).render("signed_out")

    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert f"<style>{style}</style>".encode() in response.body
    assert f"style-src 'sha256-{digest}'" in policy
    assert "img-src 'self' data:;" in policy


def test_a_theme_is_escaped_too(tmp_path: Path) -> None:
    write(tmp_path, error_html="{{ message }}")
    pages = Pages(title="Shop", theme=tmp_path)

    response = pages.render("error", message=HOSTILE)

    assert b"<script" not in response.body


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"sign_in_html": "{% if %}"}, "sign_in.html", id="a template"),
        pytest.param({"layout_html": "{% endif %}"}, "layout.html", id="the layout"),
        pytest.param({"style_css": "</style><script>"}, "style.css", id="the style"),
    ],
)
def test_refuses_a_theme_that_does_not_work(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    write(tmp_path, **files)

    with pytest.raises(ConfigurationError, match=message):
        Pages(title="Shop", theme=tmp_path)


def test_refuses_a_theme_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no folder"):
        Pages(title="Shop", theme=tmp_path / "nowhere")


def test_a_theme_is_read_again_in_development_only(tmp_path: Path) -> None:
    write(tmp_path, style_css="a {}", signed_out_html="first {{ style }}")
    made = {
        environment: make_pages(
            Settings(
                environment=environment,
                service_name="shop",
                auth=AuthSettings(pages=PageSettings(templates=tmp_path)),
            )
        )
        for environment in ("development", "test")
    }
    write(tmp_path, style_css="b {}", signed_out_html="then {{ style }}")
    shown = {name: bytes(pages.render("signed_out").body) for name, pages in made.items()}

    assert shown == {"development": b"then b {}", "test": b"first a {}"}
