"""Nearest neighbours: an index to add to, search in, match against, save and load."""

from keras_metric.index.index import Index
from keras_metric.index.results import MatchResult, SearchResult

__all__ = ["Index", "MatchResult", "SearchResult"]
