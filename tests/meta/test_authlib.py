import ast
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src/fastapi_baseline"
# It has no types, and its DEBUG messages have secrets: each of these sees to both.
SEAMS = {"auth/login/_protocol.py", "auth/server/protocol/authlib_classes.py"}


def uses_authlib(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            names = [str(node.args[0].value)] if "import_module" in ast.unparse(node.func) else []
        # `authlib` alone only tells whether it is installed.
        if any(name.startswith("authlib.") for name in names):
            return True
    return False


def test_authlib_is_imported_at_its_seams_only() -> None:
    found = {
        path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.py") if uses_authlib(path)
    }

    assert found == SEAMS
