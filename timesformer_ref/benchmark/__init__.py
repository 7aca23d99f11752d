"""How fast a clip goes through: this project beside others and beside bare products."""
