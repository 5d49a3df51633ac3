"""classykit.inspecting.receptive.fields: windows of positions, and blocks that are moved."""

from classykit.inspecting.receptive.fields import Cause, Seen, Site, absolute, of_input, relative


class TestFolding:
    def test_a_block_is_moved_to_where_it_stands(self):
        here, there = Site("here"), Site("there")
        old = of_input((1, 3, 8, 8))
        new = old._replace(axes=(Seen(-5, 11, 4), Seen(0, 8, 0, 1, Cause("attention", here))))
        with_cause = old._replace(axes=(Seen(-1, 3, 1), Seen(0, 8, 0, 1, Cause("pooling", here))))
        moved = absolute(relative([with_cause], [old]), [old], there)
        assert moved[0].axes == (Seen(-1, 3, 1), Seen(0, 8, 0, 1, Cause("pooling", there)))
        assert absolute(relative([new], [new]), [new], there) == (new,)
