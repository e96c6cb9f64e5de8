"""Data sets that the `datasets` library reads: of the hub, of local directories and of files.

    split_request   what is asked for: where, which configuration, revision and split
    split_reading   one split as `StoredRows`, whose images stay undecoded
    stored_rows     rows, with what tells them from changed ones
    joined_rows     several splits or configurations as one sequence of rows
    looked_up_rows  rows with the columns of another table, by a key
    file_faults     which file, and which line of it, cannot be read
    moved_paths     names that data sets of the hub had before

Task files (`data: {hub: NAME}`) and imported tasks of other harnesses read their data here.
"""
