import pytest

from tests.template.go_templates import UnsupportedError, merge, render_text


def test_knows_what_go_would_do() -> None:
    context = {"A": {"b": "x", "a": 1, "c": ["p", "q"]}, "Off": False, "Text": "one\ntwo"}

    assert render_text("{{ range $k, $v := .A }}{{ $k }};{{ end }}", context) == "a;b;c;"
    assert render_text("{{ if .Off }}1{{ else if .A }}2{{ else }}3{{ end }}4", context) == "24"
    assert render_text("a:\n  {{- .Text | nindent 2 }}\n", context) == "a:\n  one\n  two\n"
    assert render_text("x {{- /* why */ -}} y", context) == "xy"
    assert render_text("{{ with .A }}{{ .b }}{{ end }}{{ .Nothing }}", context) == "x"
    assert render_text('{{ .Nothing | default "d" | quote }}', context) == '"d"'


@pytest.mark.parametrize(
    "text",
    [
        '{{ lookup "v1" "Secret" }}',
        "{{ .A | upper }}",
        "{{ $unknown }}",
        "{{ if .A }}",
        "{{ .A }}",
        "{{ .Large }}",
    ],
)
def test_refuses_what_it_does_not_know_about_helm(text: str) -> None:
    with pytest.raises(UnsupportedError):
        render_text(text, {"A": ["a"], "Large": 10485760})


def test_merges_sections_and_takes_away_what_is_null() -> None:
    given = {"a": {"b": 1, "c": 2}, "d": [1], "e": 3}

    merged = merge(given, {"a": {"b": None, "f": {"g": 1}}, "d": [2]})

    assert merged == {"a": {"c": 2, "f": {"g": 1}}, "d": [2], "e": 3}
    assert given["a"] == {"b": 1, "c": 2}
