"""Set-up: what a checkout needs before `pulumi up` can run, found or installed.

Uses Python's standard library alone, because it runs before anything is installed.
"""
