"""A generator that a company's package could bring, and its test."""

# <start-generator>
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.service import Service, read_service

CONSUMER = '''"""What is done with {name} from the queue."""

TOPIC = "{topic}"


async def consume(message: bytes) -> None:
    """Take one message."""
'''


class ConsumerGenerator:
    """Makes consumers of queues."""

    help = "A consumer of a queue: NAME [--topic TOPIC]."

    def plan(self, arguments: Sequence[str], service: Service) -> Mapping[PurePosixPath, str]:
        """Return a module that is called like what it consumes."""
        parser = ArgumentParser("baseline add consumer", exit_on_error=False)
        parser.add_argument("name")
        parser.add_argument("--topic")
        words = parser.parse_args(arguments)
        if not words.name.isidentifier():
            raise ConfigurationError(f"{words.name!r} cannot be the name of a module.")
        folder = PurePosixPath("src") / service.package / "consumers"
        text = CONSUMER.format(name=words.name, topic=words.topic or words.name)
        return {folder / "__init__.py": "", folder / f"{words.name}.py": text}


# <end-generator>


# <start-test>
@pytest.fixture
def service(tmp_path: Path) -> Service:
    (tmp_path / "pyproject.toml").write_text('[tool.baseline]\npackage = "shop"\n')
    (tmp_path / "src/shop").mkdir(parents=True)
    return read_service(tmp_path)


def test_names_the_topic(service: Service) -> None:
    files = ConsumerGenerator().plan(["orders", "--topic", "new-orders"], service)

    assert 'TOPIC = "new-orders"' in files[PurePosixPath("src/shop/consumers/orders.py")]


# <end-test>
