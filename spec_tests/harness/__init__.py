"""How the suite judges a port: inputs, the right answers, bounds, reports, and calling the port.

The tests, which name the requirements, are the files `test_*.py` beside this package.
"""
