"""What is done to an app in tests."""

import copy

SMALL = {"name": "resnet18", "init_planes": 4}
VIDEO = {"name": "r3d_18", "stem_planes": 4, "stage_planes": 4, "clip_crop_size": 32}
STEM, LAST = "stem-path0", "pathway0-stage4-block1"  # 16 and 2 time steps
HOSTILE = '<img src=x onerror="alert(1)">'


def send(app, buffers=(), **message):
    """What a click in the browser sends."""
    app._handle_custom_msg(message, list(buffers))


def look(app):
    """Everything that the app stands for and shows, except what it says."""
    return copy.deepcopy(
        (
            app.config,
            app.selected_block,
            str(app.inspection),
            app.to_code(),
            app.map_state,
            app.panel_state,
            app.view_state,
            app.source,
        )
    )
