"""Porthole's figures, each beside a baseline measured in the same run.

`./porthole bench` runs all, `./porthole bench NAME ...` some of them, prints a table and
writes `bench/results.json`. A figure without its baseline is not a figure: the run fails.
"""
