"""Values and gradients recorded from TensorFlow Addons 0.23, of our drop-ins and of the losses that they equal."""

import json

import numpy as np
import pytest
from keras import ops

from keras_metric import losses
from keras_metric.compat import addons
from tests.shared_data import shared
from tests.support import BACKEND, numpy, value_and_gradient

# Without jit JAX compiles every call anew: a sample of the cases is enough there.
EVERY = 5 if BACKEND == "jax" else 1
FUNCTIONS = {
    "ContrastiveLoss": addons.contrastive_loss,
    "LiftedStructLoss": addons.lifted_struct_loss,
    "NpairsLoss": addons.npairs_loss,
    "TripletHardLoss": addons.triplet_hard_loss,
    "TripletSemiHardLoss": addons.triplet_semihard_loss,
}


@pytest.fixture(scope="module")
def recorded():
    return json.loads(shared("tfa_parity.json", folder="oracles").read_text())


def inputs(recorded, case):
    where = recorded["batches"][case["batch"]] if "batch" in case else case
    return np.array(where["y_true"]), np.array(where["y_pred"], "float32")


def assert_as_recorded(loss, recorded, case):
    y_true, y_pred = inputs(recorded, case)
    value, gradient = value_and_gradient(lambda x: loss(y_true, x), y_pred)
    np.testing.assert_allclose(value, case["value"], rtol=1e-5, err_msg=str(case["args"]))
    if case["gradient"] is not None:
        expected = np.array(case["gradient"])
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5 * abs(expected).max())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_classes_and_functions_give_what_addons_gave(name, recorded):
    cases = [case for case in recorded["cases"] if case["loss"] == name]
    assert cases
    for case in cases[::EVERY]:
        assert_as_recorded(getattr(addons, name)(**case["args"]), recorded, case)
    for case in (cases[0], cases[-1]):
        value = numpy(ops.mean(FUNCTIONS[name](*inputs(recorded, case), **case["args"])))
        np.testing.assert_allclose(value, case["value"], rtol=1e-5)


@pytest.mark.parametrize("name", ["TripletLoss", "LiftedStructureLoss", "SiameseContrastiveLoss"])
def test_our_own_losses_equal_addons_where_said(name, recorded):
    cases = [c for c in recorded["cases"] if c["same_as"] and c["same_as"]["class"] == name]
    assert cases
    for case in cases[::EVERY]:
        assert_as_recorded(getattr(losses, name)(**case["same_as"]["args"]), recorded, case)


def test_every_recorded_case_is_checked(recorded):
    assert len(recorded["cases"]) == 60
    assert {case["loss"] for case in recorded["cases"]} == set(FUNCTIONS)
    named = {case["same_as"]["class"] for case in recorded["cases"] if case["same_as"]}
    assert named == {"TripletLoss", "LiftedStructureLoss", "SiameseContrastiveLoss"}
