"""What vtbench prints for a person. rich is imported when there is something to print."""
