"""Wrong ports, each with one mistake: the suite is tested by whether it finds them."""
