"""One decorator that makes a class saveable by Keras and findable by a short name."""

import difflib

import keras


class Registry:
    """Classes of one kind by short name, for `loss="triplet"`-style arguments.

    Args:
        kind: what the classes are, in the singular, as error messages say it ("loss").
        base: class of which every instance handed to `get` must be, or None for any.
    """

    def __init__(self, kind, base=None):
        self.kind = kind
        self.base = base
        self._classes = {}

    def register(self, name):
        """Class decorator: registers under `name` here and with Keras' serialisation."""

        def decorate(cls):
            if name in self._classes:
                raise ValueError(
                    f"The {self.kind} name {name!r} is taken by {self._classes[name]}."
                )
            self._classes[name] = cls
            return keras.saving.register_keras_serializable(package="keras_metric")(cls)

        return decorate

    def names(self):
        """All short names, sorted."""
        return sorted(self._classes)

    def items(self):
        """`(short name, class)` of everything registered, sorted by name."""
        return [(name, self._classes[name]) for name in self.names()]

    def name_of(self, instance):
        """Short name of an instance's class, or None if it is not registered here."""
        for name, cls in self._classes.items():
            if type(instance) is cls:
                return name
        return None

    def get(self, identifier, **kwargs):
        """An instance from a short name, a saved config, a class or an instance.

        Args:
            identifier: short name, Keras config (`keras.saving.serialize_keras_object`), class, or instance.
            **kwargs: constructor arguments; only with a short name or a class.

        Raises:
            ValueError: for an unknown name, with the nearest known one.
            TypeError: for anything that is not of this kind, and for arguments that would not be used.
        """
        if isinstance(identifier, str):
            return self._class_of(identifier)(**kwargs)
        if isinstance(identifier, type) and issubclass(identifier, self.base or object):
            return identifier(**kwargs)
        if kwargs:
            raise TypeError(
                f"Arguments go with the name or class of a {self.kind}, not with one that is made already. "
                f"Received: {identifier!r} and {kwargs}."
            )
        if isinstance(identifier, dict):
            identifier = keras.saving.deserialize_keras_object(identifier)
        if isinstance(identifier, type) or (self.base and not isinstance(identifier, self.base)):
            raise TypeError(
                f"A {self.kind} must be one of the names {self.names()}, a {self.base.__name__} or its "
                f"saved config. Received: {identifier!r} of type {type(identifier).__name__}."
            )
        return identifier

    def _class_of(self, name):
        if name in self._classes:
            return self._classes[name]
        near = [short for short, cls in self.items() if cls.__name__ == name]
        near = near or difflib.get_close_matches(name, self.names(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"Unknown {self.kind} name {name!r}. Expected one of {self.names()}.{hint}"
        )
