"""Services that are deployed in every way there is, and what their images say of themselves."""

import re
import sys
from pathlib import Path
from typing import Any

PROGRAMS = Path(sys.executable).parent
"""Where the programs are that read manifests."""
AWKWARD = r"""He said "hi" \n '''x''' {{ y }} ünïcode 😀: # - & <b> $HOME `a` %s"""
DEPLOYED: dict[str, dict[str, Any]] = {
    "order-service": {"deploy": ["compose", "helm", "monitoring"], "description": AWKWARD},
    "plain-service": {
        "database": "none",
        "deploy": ["compose", "helm"],
        "ci": "gitlab",
        "capabilities": [],
    },
    "club-service": {"auth": "builtin", "deploy": ["compose", "helm"], "ci": "gitlab"},
}


def image_of(service: Path) -> dict[str, str]:
    """Return what the last stage of an image sets for those who run it."""
    text = (service / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    said = re.findall(r"(?m)^ENV (.*)$", text.rpartition("\nFROM ")[2])
    return dict(pair.split("=", 1) for line in said for pair in line.split())
