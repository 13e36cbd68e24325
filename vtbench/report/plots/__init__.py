"""Plots of a report. Each is a function `(PlotData) -> Drawing | None`; None where the study has nothing to plot."""

from vtbench.registry import Registry

PLOTS = Registry(
    "plot",
    {
        "distance_resolution": "vtbench.report.plots.distance_resolution:distance_resolution",
        "distance_length": "vtbench.report.plots.distance_length:distance_length",
        "distance_flops": "vtbench.report.plots.distance_flops:distance_flops",
        "generation_cost": "vtbench.report.plots.generation_cost:generation_cost",
        "generation_speed": "vtbench.report.plots.generation_speed:generation_speed",
        "guidance": "vtbench.report.plots.guidance:guidance",
        "sample_grid": "vtbench.report.plots.sample_grid:sample_grid",
        "token_ladder": "vtbench.report.plots.sample_grid:token_ladder",
        "nearest_training": "vtbench.report.plots.sample_grid:nearest_training",
        "training_curves": "vtbench.report.plots.training_curves:training_curves",
        "picture_grid": "vtbench.report.plots.picture_grid:picture_grid",
    },
)

ORDER = (
    "distance_resolution",
    "distance_length",
    "distance_flops",
    "generation_cost",
    "generation_speed",
    "guidance",
    "training_curves",
    "picture_grid",
    "sample_grid",
    "token_ladder",
    "nearest_training",
)
"""Order in a report; plots that are not listed (those of plug-ins) come after, by name."""
