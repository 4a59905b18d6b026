"""Pure functions on `keras.ops` that every room may use."""
