"""One training run on P×K batches: compile, fit, keep the state of every finished epoch."""

import warnings
from pathlib import Path

import keras

from keras_metric import data
from keras_metric.cli.progress import Progress
from keras_metric.cli.records import load_state, save_state


def fit(
    model,
    loss,
    x,
    y,
    *,
    epochs,
    classes_per_batch,
    examples_per_class,
    steps_per_epoch=None,
    learning_rate=1e-3,
    decay=False,
    seed=0,
    title="training",
    state_path=None,
):
    """Trains `model` and returns the history, a list of one dict per epoch.

    Args:
        model: an encoder, or a model that ends in one.
        loss: Keras loss on class ids and the model's outputs.
        x, y: examples and class ids.
        epochs: in all, those of a run that goes on included.
        classes_per_batch, examples_per_class, steps_per_epoch: as in `data.pk_batches`.
        learning_rate: of Adam.
        decay: whether the rate falls to 0 along half a cosine over all epochs. Without it the number of epochs
            decides nothing but the end, so a run may be made longer afterwards.
        seed: of the batches.
        title: of the progress bar.
        state_path: file that keeps the state after every epoch; if it is there, training goes on from it.
    """
    steps = steps_per_epoch or max(1, len(x) // (classes_per_batch * examples_per_class))
    if decay:
        learning_rate = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps)
    model.compile(keras.optimizers.Adam(learning_rate), loss=loss)
    model.optimizer.build(model.trainable_variables)
    done, history = 0, []
    if state_path and Path(state_path).exists():
        done, history = load_state(state_path, model)
    progress = Progress(title, epochs, done)

    def batches(seed):
        return data.pk_batches(
            x,
            y,
            classes_per_batch=classes_per_batch,
            examples_per_class=examples_per_class,
            steps_per_epoch=steps,
            seed=seed,
        )

    with warnings.catch_warnings():
        # Keras warns that it does not shuffle a tf.data.Dataset; the batches are drawn at random already.
        warnings.filterwarnings("ignore", message=".*shuffle=True.*")
        if state_path is None:
            kept = model.fit(batches(seed), epochs=epochs, verbose=0, callbacks=[progress])
            return [{"loss": value} for value in kept.history["loss"]]
        for epoch in range(done, epochs):
            # The batches of an epoch depend on seed and epoch alone, so a run that goes on draws the same ones.
            kept = model.fit(
                batches(seed * 1_000_003 + epoch),
                initial_epoch=epoch,
                epochs=epoch + 1,
                verbose=0,
                callbacks=[progress],
            )
            history.append({name: float(values[-1]) for name, values in kept.history.items()})
            save_state(state_path, model, epoch + 1, history)
    return history
