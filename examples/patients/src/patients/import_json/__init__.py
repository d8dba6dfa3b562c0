"""Import the patients of a json-server database: `python -m patients.import_json FILE`."""
