import json
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., str]
Render = Callable[..., Path]

REQUESTS = 20_000


def test_no_query_of_a_list_breaks_the_service_or_finds_what_it_excludes(
    render: Render, run: Run, install: Callable[[Path], None], environment: Path
) -> None:
    service = render("fuzzed-service")
    install(service)
    script = Path(__file__).with_name("fuzz_items.py")

    said = run(environment / "python", script, "fuzzed_service", str(REQUESTS), cwd=service)

    statuses = {int(status): times for status, times in json.loads(said).items()}
    assert sum(statuses.values()) == REQUESTS
    assert statuses.keys() <= {200, 400, 422}
    # Neither is all of it refused, nor does everything pass.
    assert min(statuses[200], statuses[422]) > REQUESTS // 5
