"""The pages that show a service's OpenAPI document, without scripts from elsewhere."""

from fastapi_baseline.documentation.routes import add_documentation_pages

__all__ = ["add_documentation_pages"]
