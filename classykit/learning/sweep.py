"""`sweep`: one measurement over thousands of configs, in a table on the disk that grows and goes on after a kill."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from classykit.contexts import verb
from classykit.errors import ConfigError, DeviceError, Interrupted, StateError, first_line, quoted
from classykit.extracting.disk import pyarrow, sole_writer

if TYPE_CHECKING:
    import pandas

_AT_ONCE = 256  # handed to an executor ahead of what is done
_EVERY = 10.0  # seconds, after which the table is written anew
_OWN = ("name", "config", "seconds", "error")


@verb
def sweep(
    configs: Iterable[str | Mapping[str, Any]],
    measure: Callable[[Any], Any],
    out: str | os.PathLike | None = None,
    executor: Executor | None = None,
    *,
    progress: bool = True,
) -> pandas.DataFrame:
    """Measure every config, and give a table with a row for each, in their order.

    Args:
        configs: names or configs, as `sample` gives them; the same one twice is measured once.
        measure: what is called with a config: `classykit.inspect`, `classykit.benchmark`, or a function of your own,
            which gives a dict, a number, or something that has totals (an inspection, a benchmark, a probe). With
            another process it has to be one that can be pickled: a function of a module, or a ``functools.partial``.
        out: a Parquet file, written anew every ten seconds and in the end. Each row is on the disk as soon as it is
            measured, beside it: the same call, after a kill, goes on with the configs that are left.
        executor: any ``concurrent.futures.Executor``: of threads, of processes, or a cluster's
            (``dask.distributed.Client(...).get_executor()``). Default: here, one after the other.
        progress: show a bar when it takes longer than a second. Default True.

    A config whose measurement fails is a row with its ``error``; measuring goes on. Columns: name, config (as JSON),
    seconds, error, then what was measured.

    Raises ConfigError for what is no list of configs or no function, StateError for a file of another measurement,
    DeviceError where a worker dies, MissingDependencyError without pyarrow, Interrupted, with the table until then,
    when it is interrupted.

    >>> import classykit
    >>> table = sweep(["resnet18", {"name": "resnet18", "use_se": True}], classykit.inspect, progress=False)
    >>> table.params.tolist(), table.error.tolist()
    ([11176512, 11265592], [None, None])
    """
    listed = _listed(configs)
    if not callable(measure):
        raise ConfigError(f"measure is a function of a config, such as classykit.inspect, not {quoted(measure)}.")
    if executor is not None and not hasattr(executor, "submit"):
        raise ConfigError(f"executor is a concurrent.futures.Executor, not {quoted(executor)}.")
    with ExitStack() as held:
        rows = held.enter_context(_rows(None if out is None else Path(out).expanduser(), _name_of(measure)))
        left = [key for key in dict.fromkeys(listed) if key not in rows.known]
        try:
            for key, row in _measured(left, measure, executor, progress):
                rows.add(key, row)
        except KeyboardInterrupt:
            rows.write()
            raise Interrupted(
                f"Interrupted after {len(rows.known)} of {len(set(listed))} configs"
                + (f"; they are in {out}, and the same call goes on from there." if out is not None else "."),
                _table(listed, rows.known),
            ) from None
        except BrokenExecutor as error:
            raise DeviceError(
                f"A worker of the executor died ({error}): often its memory ran out. {len(rows.known)} of "
                f"{len(set(listed))} configs are done"
                + (f", in {out}; the same call goes on from there." if out is not None else ".")
            ) from error
        finally:
            rows.write()
    return _table(listed, rows.known)


def _listed(configs: Any) -> list[str]:
    """The configs as JSON, which tells them apart."""
    if isinstance(configs, (str, Mapping)) or not isinstance(configs, Iterable):
        raise ConfigError(f"configs is a list of names or configs, not {quoted(configs)}.")
    found = []
    for config in configs:
        given = {"name": config} if isinstance(config, str) else config
        if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
            raise ConfigError(f"A config is a name or a dict with a 'name', not {quoted(config)}.")
        try:
            found.append(json.dumps(dict(given), sort_keys=True))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"The config {quoted(config)} holds what JSON cannot: {error}.") from None
    if not found:
        raise ConfigError("There are no configs to measure.")
    return found


def _name_of(measure: Any) -> str:
    while isinstance(measure, partial):
        measure = measure.func
    return f"{getattr(measure, '__module__', '')}.{getattr(measure, '__qualname__', type(measure).__name__)}"


def _measured(
    keys: list[str], measure: Callable[[Any], Any], executor: Executor | None, progress: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """(config, row) of each, as they are done."""
    from tqdm.auto import tqdm

    with tqdm(total=len(keys), unit="config", delay=1, leave=False, disable=not progress) as bar:
        if executor is None:
            for key in keys:
                yield key, _row(measure, key)
                bar.update()
            return
        waiting: dict[Future, str] = {}
        ahead = iter(keys)
        try:
            while True:
                for key in ahead:
                    waiting[executor.submit(_row, measure, key)] = key
                    if len(waiting) >= _AT_ONCE:
                        break
                if not waiting:
                    return
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield waiting.pop(future), future.result()
                    bar.update()
        finally:
            for future in waiting:
                future.cancel()


def _row(measure: Callable[[Any], Any], key: str) -> dict[str, Any]:
    """What a measurement gives, as plain values; runs in the executor's workers."""
    start = time.perf_counter()
    row: dict[str, Any] = {"name": json.loads(key)["name"], "config": key, "error": None}
    try:
        row |= _plain(measure(json.loads(key)))
    except Exception as error:  # whatever a config or a person's function raises is a row
        row["error"] = f"{type(error).__name__}: {first_line(error)}"
    row["seconds"] = time.perf_counter() - start
    return row


def _plain(found: Any) -> dict[str, Any]:
    """A result as a row: of the kit's reports their totals."""
    if hasattr(found, "require") and hasattr(found, "macs"):  # an inspection
        found.require()
        names = ("params", "macs", "activations", "param_bytes", "activation_bytes")
        return {name: getattr(found, name) for name in names} | {"blocks": len(found.trunk)}
    if hasattr(found, "best") and hasattr(found, "controls"):  # a probe
        best = found.blocks[found.best]
        return {"block": found.best, "accuracy": best.accuracy, "stderr": best.stderr}
    if hasattr(found, "rows") and hasattr(found, "to_pandas"):  # a benchmark
        first = found.to_pandas().iloc[0].to_dict()
        return {str(k): _value(v) for k, v in first.items() if k not in ("model", "name")}
    if isinstance(found, Mapping):
        return {str(k): _value(v) for k, v in found.items() if str(k) not in _OWN}
    return {"value": _value(found)}


def _value(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") and getattr(value, "size", 1) == 1 else value
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


class _Rows:
    """{config: its row}, and where they are kept: a table, and beside it a line for each row that is not in it yet."""

    def __init__(self, path: Path | None, measure: str):
        self.known: dict[str, dict[str, Any]] = {}
        self._path, self._measure, self._fresh, self._written = path, measure, 0, time.monotonic()
        self._lines: Any = None
        if path is None:
            return
        self._beside = path.with_name(f"{path.name}.rows")
        self._read()
        self._lines = self._beside.open("ab", buffering=0)  # a line is one write: a kill cuts none in two

    def _read(self) -> None:
        assert self._path is not None
        if self._path.exists():
            _, parquet = pyarrow()
            try:
                table = parquet.read_table(self._path)
                said = (table.schema.metadata or {}).get(b"classykit.measure", b"").decode()
                rows = table.to_pylist()
            except Exception as error:  # pyarrow's own, of several kinds
                raise StateError(f"{self._path} is no table of a sweep: {first_line(error)}") from None
            if said != self._measure:
                raise StateError(f"{self._path} holds {said or 'something else'}, not {self._measure}: choose another "
                                 f"file.")  # fmt: skip
            self.known |= {row["config"]: row for row in rows}
        if self._beside.exists():
            for line in self._beside.read_bytes().splitlines():
                try:
                    said, row = json.loads(line)
                except ValueError:  # cut off when the disk was full
                    continue
                if said != self._measure:
                    raise StateError(f"{self._beside} holds {said}, not {self._measure}: choose another file.")
                self.known[row["config"]] = row
                self._fresh += 1

    def add(self, key: str, row: dict[str, Any]) -> None:
        self.known[key] = row
        if self._lines is not None:
            self._lines.write(json.dumps([self._measure, row]).encode() + b"\n")
            self._fresh += 1
            if time.monotonic() - self._written > _EVERY:
                self.write()

    def write(self) -> None:
        """The table anew, all rows in it; then the lines beside it are needed no more."""
        if self._path is None or not self._fresh:
            return
        pa, parquet = pyarrow()
        columns = list(dict.fromkeys(name for row in self.known.values() for name in row))
        table = pa.table({name: _column(pa, [row.get(name) for row in self.known.values()]) for name in columns})
        table = table.replace_schema_metadata({"classykit.measure": self._measure})
        partly = self._path.with_name(f"{self._path.name}.part")
        parquet.write_table(table, partly)
        os.replace(partly, self._path)
        self._lines.truncate(0)
        self._fresh, self._written = 0, time.monotonic()

    def close(self) -> None:
        if self._lines is not None:
            self._lines.close()
            if not self._fresh:
                self._beside.unlink(missing_ok=True)


def _column(pa: Any, values: list[Any]) -> Any:
    """Values of one kind as they are; of several, as where a function gives numbers and texts, as texts."""
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([None if value is None else str(value) for value in values])


@contextmanager
def _rows(path: Path | None, measure: str) -> Iterator[_Rows]:
    with ExitStack() as held:
        if path is not None:
            pyarrow()
            path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(sole_writer(path.parent, path.with_name(f".{path.name}.lock")))
        rows = _Rows(path, measure)
        try:
            yield rows
        finally:
            rows.close()


def _table(listed: list[str], known: Mapping[str, dict[str, Any]]) -> pandas.DataFrame:
    import pandas as pd

    table = pd.DataFrame([known[key] for key in listed if key in known])
    table["error"] = pd.Series([known[key]["error"] for key in listed if key in known], dtype=object)
    return table[[name for name in _OWN if name in table] + [name for name in table if name not in _OWN]]
