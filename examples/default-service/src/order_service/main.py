"""The application; `baseline run` serves it."""

from fastapi_baseline import create_app

from order_service.settings import Settings

app = create_app(Settings.load())
