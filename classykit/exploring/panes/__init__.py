"""The tabs that are opened to see more, in the order in which they stand."""

from classykit.exploring.panes.attention import AttentionPane
from classykit.exploring.panes.blocks import BlocksPane
from classykit.exploring.panes.compare import ComparePane
from classykit.exploring.panes.information import InformationPane
from classykit.exploring.panes.layers import LayersPane
from classykit.exploring.panes.why import WhyPane

PANES = (WhyPane, AttentionPane, LayersPane, InformationPane, ComparePane, BlocksPane)
