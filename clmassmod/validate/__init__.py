"""Precision of every step, measured against expectations from outside of the package.

``checks`` defines a check and lists them, ``plan`` says which modules check which step, each other module
holds the checks of one step, ``reference`` the expectations that several of them share, and ``lab`` what
they are run on.
"""
