"""Names and values of other libraries, for code that moves over by changing one import."""

from keras_metric.compat import addons

__all__ = ["addons"]
