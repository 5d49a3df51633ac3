"""What is known of others' weights, a file a family; each registers it by `register_weights`."""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
