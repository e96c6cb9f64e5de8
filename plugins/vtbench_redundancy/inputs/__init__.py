"""Arrays and images from files, read slice by slice and never loaded whole."""
