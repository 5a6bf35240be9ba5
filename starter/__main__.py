"""``python -m starter`` is ``ferry``."""

from starter.main import main

main()
