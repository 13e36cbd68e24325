"""Quantizers: continuous latents -> codes; one row each of those that a tokenizer's option `quantizer` names.

Multi-codebook vector quantisation (`mvq`) needs no row: it is what the tokenizer's own options describe, and with one
codebook it is the plain vector quantisation of VQ-VAE.
"""

from vtbench.registry import Registry

QUANTIZERS = Registry(
    "quantizer",
    {
        "fsq": "vtbench.models.quantizers.fsq:FiniteScalarQuantizer",
        "ibq": "vtbench.models.quantizers.ibq:IndexBackpropagationQuantizer",
        "lfq": "vtbench.models.quantizers.lfq:LookupFreeQuantizer",
    },
)
