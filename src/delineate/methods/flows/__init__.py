"""Objects by flows: the method, its targets and its decoding."""

from delineate.methods.flows.method import FLOW_GAIN, Flows

__all__ = ["FLOW_GAIN", "Flows"]
