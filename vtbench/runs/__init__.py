"""The directory of a run: written as the run goes, and read again to resume, report or compare."""
