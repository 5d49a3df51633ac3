"""What tests of measuring share."""

import classykit as ck


def quick(model, x=None, **keys):
    return ck.profile_blocks(
        model, x, **{"device": "cpu", "dtype": "float32", "channels_last": False, "seconds": 0.001, "progress": False,
                     **keys}
    )  # fmt: skip
