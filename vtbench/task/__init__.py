"""Task files: schema, catalog, locations, loading, and the sources that samples come from."""
