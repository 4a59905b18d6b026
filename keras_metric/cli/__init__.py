"""The command `keras-metric`: one file per command, which parses, calls the library and prints."""
