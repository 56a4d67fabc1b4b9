"""What memory do explanations take, by draws and steps? python -m benchmarks.explanation_memory.

Compiles every method for one batch of the explainer's, and prints what XLA plans to hold at once
beside the network and the batch. docs/explanations.md has the figures.
"""

import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from stochconv_jax.configs import quickstart
from stochconv_jax.data.pipeline.batches import Batch
from stochconv_jax.data.pipeline.views import derive_views
from stochconv_jax.explanations.explainer import ROWS, make_maps
from stochconv_jax.explanations.maps import METHODS
from stochconv_jax.explanations.picture import TITLES
from stochconv_jax.keys import Purpose, run_key
from stochconv_jax.markdown_table import markdown_table
from stochconv_jax.models.from_config import backbone_from_config, model_from_config

DRAWS = (1, 4, 16)


def main() -> None:
    """Prints a table for the quickstart's network."""
    config = quickstart.get_config()
    rows = []
    for method in METHODS:
        planned = [planned_megabytes(config, method, draws) for draws in DRAWS]
        rows.append([TITLES[method], *(f"{each:,.0f}" for each in planned)])
    print(markdown_table(["method", *(f"MB, draws: {draws}" for draws in DRAWS)], rows))


def planned_megabytes(config: ConfigDict, method: str, draws: int) -> float:
    """Returns what XLA plans for a batch of the explainer's, the network and the batch apart."""
    model = model_from_config(config, 1, abstract=True)
    maps = make_maps(model, method, draws)
    state = tuple(nnx.state(model, nnx.Param, nnx.BatchStat))
    batch = _blank_batch(config)
    key = run_key(0, Purpose.EVALUATION)
    compiled = maps.lower(state, batch, key, np.zeros(ROWS, np.int32)).compile()
    return compiled.memory_analysis().temp_size_in_bytes / 2**20


def _blank_batch(config: ConfigDict) -> Batch:
    image = np.zeros((*config.data.high_size, 3), np.uint8)
    strides = backbone_from_config(config).stem_strides
    views = derive_views(image, config.data.low_size, strides, config.data.crop_size)
    batch = {name: np.stack([view] * ROWS) for name, view in views.items()}
    return batch | {"index": np.arange(ROWS, dtype=np.int32)}


if __name__ == "__main__":
    main()
