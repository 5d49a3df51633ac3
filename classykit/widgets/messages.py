"""What the browser asks the Explorer for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any

import traitlets

from classykit.errors import ConfigError, HeadError, ImageError, quoted
from classykit.exploring.design import head_controls, typed
from classykit.exploring.explored import Explored
from classykit.exploring.exports import export
from classykit.exploring.scene import SORTS
from classykit.images import load_image
from classykit.seeing.feature_maps import SCALES
from classykit.widgets import lifetime
from classykit.widgets.app import check_message
from classykit.widgets.composing import Composing

# what takes another thing on the screen, so that an answer still under way would be of the old
SUPERSEDING = frozenset({"choose", "compare_first", "step", "undo", "redo", "image", "upload", "device"})


class Messages(Composing):
    """Each message is one of the verbs, or sets a trait: whatever is wrong with it is said on the screen."""

    def _page(self) -> str:
        """The screen as a page of its own."""
        raise NotImplementedError

    def _listen(self) -> None:
        # {type: (what such a message holds, what is done with it and its buffers)}
        self._acts: dict[str, tuple[dict[str, type], Callable[[dict[str, Any], list[Any]], Any]]] = {
            "choose": ({"name": str}, lambda m, b: self._choose_listed(m["name"])),
            "compare_add": ({"model": str}, lambda m, b: self._put_beside(self._listed(m["model"].strip()))),
            "compare_first": ({"at": int}, lambda m, b: self._put_first(m["at"])),
            "key": (
                {"key": str, "done": bool},
                lambda m, b: self._turn_typed(m["key"], m.get("value"), m["done"]),
            ),
            "reset": ({"keys": list}, lambda m, b: self.reset_keys(*map(str, m["keys"]))),
            "step": ({"at": int}, lambda m, b: self._go_to_step(m["at"])),
            "save": ({"file": str}, lambda m, b: self._save(m["file"])),
            "undo": ({}, lambda m, b: self.undo()),
            "redo": ({}, lambda m, b: self.redo()),
            "device": ({"device": str}, lambda m, b: self.set_trait("device", m["device"])),
            "dismiss": ({}, lambda m, b: self.set_trait("error", "")),
            "attach": ({"head": str}, lambda m, b: self._attach_typed(m)),
            "remove": ({"id": str}, lambda m, b: self.remove_head(m["id"])),
            "edit_head": ({"id": str, "key": str}, lambda m, b: self._edit_typed(m["id"], m["key"], m.get("value"))),
            "move_head": ({"id": str, "block": str}, lambda m, b: self.move_head(m["id"], m["block"])),
            "rename_head": ({"id": str, "name": str}, lambda m, b: self.rename_head(m["id"], m["name"].strip())),
            "budget": ({"limits": dict}, lambda m, b: self.set_trait("budget", {**self.budget, **m["limits"]})),
            "open_block": ({"block": str}, lambda m, b: self._open_block(m["block"])),
            "select": ({"block": str}, lambda m, b: self.set_trait("selected_block", m["block"])),
            "tab": ({"tab": str}, lambda m, b: self.set_trait("tab", m["tab"])),
            "moment": ({"moment": int}, lambda m, b: self._move_to(m["moment"])),
            "run": ({}, lambda m, b: self.run()),
            "measure": ({}, lambda m, b: self.measure()),
            "information_attach": ({}, lambda m, b: self.attach_head(self._scene.block, self._information.head())),
            "image": (
                {"name": str},
                lambda m, b: self.set_trait("clip" if self._scene.takes_clips else "image", m["name"]),
            ),
            "upload": ({"name": str}, lambda m, b: self._take_upload(m["name"], bytes(b[0]) if b else b"")),
            "order": ({"order": str}, lambda m, b: self._arrange(order=m["order"])),
            "scale": ({"scale": str}, lambda m, b: self._arrange(scale=m["scale"])),
            "page": ({"offset": int}, lambda m, b: self._arrange(offset=m["offset"])),
        }
        for pane in (self._features, *self._panes.values()):
            for kind, (holds, act) in pane.acts.items():
                self._acts[kind] = holds, functools.partial(self._act_in_pane, act)

        self.on_msg(lifetime.weakly(self._receive))

    def _receive(self, _: Any, message: Any, buffers: list[Any]) -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "cancel":
            return self._worker.cancel()
        if not isinstance(kind, str) or kind not in self._acts:
            return
        if kind in SUPERSEDING:  # what is under way is of what is then no longer on the screen
            self._worker.cancel()
        self._worker.do(kind, lambda: self._answer(kind, message, buffers))

    def _answer(self, kind: str, message: dict[str, Any], buffers: list[Any]) -> None:
        holds, act = self._acts[kind]

        def checked() -> None:
            check_message(kind, holds, message)
            act(message, buffers)

        try:
            self._act(checked)
        finally:
            self._was_answered(message)

    def _act_in_pane(self, act: Callable[[dict[str, Any]], Any], message: dict[str, Any], _: list[Any]) -> None:
        try:
            act(message)
        finally:
            self._idle()
            self._refresh()

    @traitlets.observe("selected", "tab", "moment")
    def _follow_page(self, change: Any) -> None:
        name, new, scene = change["name"], change["new"], self._scene
        if self._showing or {"selected": scene.block, "moment": scene.frame}.get(name) == new:
            return
        acts: dict[str, Callable[[], Any]] = {
            "selected": lambda: self._act(lambda: self.set_trait("selected_block", new)),
            "tab": lambda: self._act(self._refresh),
            "moment": lambda: self._move_to(new),
        }
        acts[name]()

    def _move_to(self, moment: int) -> None:
        # what comes from the browser may be late, for a block that has fewer moments
        self.frame = max(0, min(moment, self._scene.moments - 1))
        self.moment = self.frame
        if moment != self.frame:
            self.send_state("moment")  # the page was ahead

    def _choose_listed(self, name: str) -> None:
        self._open(self._compare.known(self._listed(name)), carrying=True)

    def _listed(self, name: str) -> Explored:
        """What the picker calls so."""
        return self._own.get(name) or Explored(name)

    def _open_block(self, block: str) -> None:
        """What is in a block: its layers."""
        self.selected_block = block
        self.tab = "layers"

    def _attach_typed(self, message: Mapping[str, Any]) -> None:
        kind, classes = message["head"], str(message.get("num_classes", "")).strip()
        keys: dict[str, Any] = {}
        if kind != "identity":
            try:
                keys["num_classes"] = int(classes)
            except ValueError:
                raise HeadError(f"Classes is a whole number from 1, not {quoted(classes or 'nothing')}.") from None
            if keys["num_classes"] < 1:
                raise HeadError(f"A head needs at least one class, not {classes}.")
        given = message["keys"] if isinstance(message.get("keys"), dict) else {}
        for control in head_controls(kind):
            if control.name in given:
                keys[control.name] = typed(control, given[control.name])
        unique_id = str(message.get("unique_id") or "").strip() or None
        self.attach_head(self.selected_block, kind, unique_id, **keys)

    def _edit_typed(self, unique_id: str, key: str, value: Any) -> None:
        _, head = self._scene.subject.heads().get(unique_id, ("", None))
        control = next((c for c in head_controls(head) if c.name == key), None) if head is not None else None
        value = value if control is None else typed(control, value)
        if control is None or value != control.value:
            self.edit_head(unique_id, **{key: value})

    def _take_upload(self, name: str, data: bytes) -> None:
        name = PurePath(name).name or "picture"
        try:
            load_image(data)  # raises before anything changes
        except ImageError as error:
            raise ImageError(f"{name} is no picture: {str(error).replace('The data ', 'it ', 1)}") from error
        if not (self._scene.takes_pictures or self._scene.takes_clips):
            raise ImageError(f"{self._scene.subject.name} takes no pictures: {name} is not used.")
        if self._scene.takes_clips:
            raise ImageError(
                f"{self._scene.subject.name} takes clips, not pictures: choose one, or from Python set the app's "
                "clip to your frames, an array (T, H, W, 3) or a list of pictures."
            )
        self._scene.uploaded = name
        self.image = data

    def _save(self, kind: str) -> None:
        """Send the page a file, which it gives to the person."""
        if kind == "page.html":
            data = self._page().encode()
        else:
            data = export(kind, self._scene, self._open_pane, self.to_code())
        self.send({"type": "file", "name": f"{self._scene.subject.name}-{kind}"}, [data])
        self._say(f"{kind} saved.")

    def _arrange(self, order: str | None = None, scale: str | None = None, offset: int = 0) -> None:
        scene = self._scene
        order, scale = order or scene.order, scale or scene.scale
        if order not in SORTS or scale not in SCALES:
            raise ConfigError(f"Maps are sorted by {', '.join(SORTS)} and scaled by {', '.join(SCALES)}.")
        scene.order, scene.scale, scene.offset = order, scale, max(0, offset)
        self._refresh()
