"""Arrays and pictures from files, slice by slice, never loaded whole.

In: the name of a file or directory. Out: `Rows`.
"""
