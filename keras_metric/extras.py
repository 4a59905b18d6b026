"""Optional packages: imported where they are used, with an error that names the extra to install."""

import importlib


def require(module, extra):
    """Imports `module`, or says which extra of keras-metric brings it.

    Args:
        module: dotted name of the module, for example `"sklearn.metrics"`.
        extra: name of the extra in `setup.cfg` that installs it.

    Raises:
        ImportError: if the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # the package is there, but something that it needs is not
        raise ImportError(
            f"This needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'keras-metric[{extra}]'"
        ) from error
