"""What one tab of the app shows, as a plain object over the scene: a tab is a view of one of these."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from classykit.exploring.scene import Scene

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# (what is going on, in words; how many are done; of how many)
Tell = Callable[[str, int, int], None]

# {type of a message: (what it holds, what is done with it)}
Acts = dict[str, tuple[dict[str, type], Callable[[dict[str, Any]], Any]]]


class Pane:
    """One tab over a scene: what was chosen in it, what was worked out for it, and what it shows of that.

    Class attributes: ``id`` and ``title`` of the tab, ``stays``, ``pictured`` and ``grows``. A pane holds no reference
    to the app: it reads the scene, and calls ``tell`` while something takes long.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    stays: ClassVar[frozenset[str]] = frozenset()  # keys of what it shows that are the same for every block
    pictured: ClassVar[bool] = True  # whether the picture or clip stands beside it
    grows: ClassVar[bool] = False  # whether it shows what it has while it still works

    def __init__(self, scene: Scene, tell: Tell):
        self.scene, self.tell = scene, tell

    @property
    def applies(self) -> bool:
        """Whether the tab is there for the model on the screen."""
        return True

    @property
    def due(self) -> bool:
        """Whether something is to be worked out before this can be shown, and is quick enough to be done unasked."""
        return False

    def work(self) -> None:
        """Work out what is shown; for as long as it takes. A ClassyKitError is said to the person."""

    def show(self) -> tuple[dict[str, Any], bytes]:
        """What is on the tab now, in finished words and figures, and its arrays (see `pixels.pack`)."""
        return {}, b""

    @property
    def acts(self) -> Acts:
        """What the tab may ask for."""
        return {}

    def let_go(self) -> None:
        """Let go of weights that only this tab holds: the app is closed."""

    def figure(self) -> Figure | None:
        """The same as a figure for a paper; None while there is nothing to see."""
        return None

    def code(self) -> str:
        """The same in Python: lines that follow the app's own, which have made ``model`` and ``x``; "" for none."""
        return ""
