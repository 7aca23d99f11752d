"""Wrong ports, each one mistake away from a correct one: they prove that the suite finds mistakes."""
