"""What `python -m patients.import_json` runs."""

import sys

from patients.import_json.command import main

sys.exit(main())
