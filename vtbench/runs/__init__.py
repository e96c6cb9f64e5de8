"""The directory of a run: written during the run, and read to resume, report or compare."""
