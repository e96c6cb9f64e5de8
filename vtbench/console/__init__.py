"""Terminal output: tables and progress. rich is imported on first use."""
