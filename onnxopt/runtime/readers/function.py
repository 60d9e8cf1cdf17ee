"""A Python function of the user's that gives samples: ``module:function``.

It is called without arguments and returns an iterable: of mappings from input name to array, or, for a model
with one input, of arrays. Whatever else can be iterated over in it (a list, a generator) is a sequence of
samples, along which state is fed back. It is called once for each time the samples are read, and must give
the same ones.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any, NoReturn

import numpy as np

from onnxopt.errors import OnnxoptError, UsageError
from onnxopt.runtime.readers.reader import Reader, Sample


class FunctionReader(Reader):
    """Reads what a function of the user's returns."""

    def read(self) -> Iterator[Sample]:
        """Yields the function's samples.

        Raises:
            UsageError: it cannot be imported or called, raises, or gives something else.
        """
        function = self._find()
        try:
            returned = function()
        except Exception as error:
            self._failed("", error)
        numbers = count()
        for place, item in enumerate(self._each(returned)):
            if _is_sample(item):
                yield self._sample(item, next(numbers), begins=place == 0)
                continue
            for step, inner in enumerate(self._each(item)):
                yield self._sample(inner, next(numbers), begins=step == 0)

    def _each(self, items: Any) -> Iterator[Any]:
        """Iterates over what the user's code returned, and tells what it raises."""
        if isinstance(items, str | bytes) or not isinstance(items, Iterable):
            raise UsageError(
                f"{self.source}: gave {type(items).__name__}: it must return an iterable of mappings"
                " from input name to array"
            )
        iterator = iter(items)
        given = 0
        while True:
            try:
                item = next(iterator)
            except StopIteration:
                return
            except Exception as error:
                self._failed(f" after {given} items" if given else "", error)
            yield item
            given += 1

    def _sample(self, item: Any, number: int, *, begins: bool) -> Sample:
        where = f"{self.source}, sample {number}"
        if not _is_sample(item):
            raise UsageError(
                f"{where}: is {type(item).__name__}: expected a mapping from input name to array"
            )
        if isinstance(item, Mapping):
            named = {str(name): _array(value) for name, value in item.items()}
            return Sample(where, named, begins)
        if len(self.wanted) != 1:
            names = ", ".join(spec.name for spec in self.wanted)
            raise UsageError(f"{where}: is an array, the model has the inputs {names}: name them")
        return Sample(where, {self.wanted[0].name: _array(item)}, begins)

    def _find(self) -> Any:
        module, _, name = self.source.rpartition(":")
        if self.options.folder and self.options.folder not in sys.path:
            sys.path.insert(0, self.options.folder)
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is not None and (module + ".").startswith(error.name + "."):
                raise UsageError(
                    f"{self.source}: there is no module {module!r} here or among the installed ones"
                ) from error
            self._failed(": importing it", error)
        except Exception as error:
            self._failed(": importing it", error)
        for part in name.split("."):
            found = getattr(found, part, None)
        if not callable(found):
            raise UsageError(f"{self.source}: module {module!r} has no function {name!r}")
        return found

    def _failed(self, when: str, error: Exception) -> NoReturn:
        if isinstance(error, OnnxoptError):
            raise error
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())
        told = f"{type(error).__name__}: {text}" if text else type(error).__name__
        raise UsageError(f"{self.source}{when}: {told} ({last.filename}:{last.lineno})") from error


def _is_sample(item: Any) -> bool:
    """Mappings and arrays, numpy's or those of another library."""
    return isinstance(item, Mapping | np.ndarray | np.generic) or hasattr(item, "__array__")


def _array(value: Any) -> Any:
    if value is None or (isinstance(value, list) and value and hasattr(value[0], "__array__")):
        return value  # an empty optional, a sequence of tensors
    return np.asarray(value)
