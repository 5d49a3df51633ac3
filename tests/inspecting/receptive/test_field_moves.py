"""classykit.inspecting.receptive.field_moves: operations that move entries about."""

from fields_of import field_of
from torch import nn


class TestOperations:
    def test_where_positions_are(self):
        assert field_of(lambda x: nn.functional.pad(x, (3, 0, 0, 1))).offset == (-1, -7)
        assert field_of(lambda x: x[:, :, ::2, 1::2]).offset == (-1, 1)
        assert field_of(lambda x: x[:, :, -4:]).offset == (23, -1)
        assert field_of(lambda x: x.narrow(3, 2, 5)).offset == (-1, 3)

    def test_a_crop_is_no_whole(self):
        field = field_of(lambda x: x[:, :, 4:8].mean((2, 3)))
        assert field.is_global and (field.offset, field.size) == ((7, 0), (9, 32))
