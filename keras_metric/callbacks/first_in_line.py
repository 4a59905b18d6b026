"""Standing before all other callbacks, wherever the user put one in the list."""

import inspect

import keras

FRAMES = 8  # from `set_model` up to the list that called it, with room for subclasses


def stand_first(callback):
    """Moves a callback to the front of the `CallbackList` that is just calling its `set_model`.

    Callbacks share one dict of logs at the end of an epoch and run in the order of the list. Who adds to the logs must
    run before those who read them (checkpoints, early stopping, history), and `fit` hands its list to nobody: so it is
    found among the callers.

    Returns:
        The `CallbackList`, or None if the callback was not called by one (then it keeps its place).
    """
    frame = inspect.currentframe()
    for _ in range(FRAMES):
        frame = frame.f_back
        if frame is None:
            return None
        owner = frame.f_locals.get("self")
        if isinstance(owner, keras.callbacks.CallbackList) and _holds(owner, callback):
            # A new list: the old one is being walked through.
            others = [one for one in owner.callbacks if one is not callback]
            owner.callbacks = [callback, *others]
            return owner
    return None


def _holds(callback_list, callback):
    return any(one is callback for one in callback_list.callbacks)
