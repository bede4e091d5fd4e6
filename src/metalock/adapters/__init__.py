"""The only modules that touch the world: files, processes, servers, the terminal."""
