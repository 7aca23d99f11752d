"""Wrong ports, each a mistake away from a correct one: the suite is tested by finding them."""
