"""Settings of the whole suite: which rooms are tested on which Keras backend."""

import keras

# These rooms are made of TensorFlow (or stand on ones that are); everything else runs on all backends.
collect_ignore = (
    [] if keras.backend.backend() == "tensorflow" else ["cli", "data", "export", "serving"]
)
