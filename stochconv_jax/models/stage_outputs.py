"""The outputs of stages that somebody asked for, or gives."""

from collections.abc import Collection, Mapping

import jax


class StageOutputs:
    """Keeps the outputs of the named stages as a pass comes to them, and replaces others.

    The names are BRANCH/stem, BRANCH/stageN, BRANCH/head, trunk/stageN and trunk/head. The gradient
    in a replacement is that in the stage's output, which is how explanations come by it.
    """

    def __init__(
        self, names: Collection[str] = (), replaced: Mapping[str, jax.Array] | None = None
    ):
        self.replaced = dict(replaced or {})
        self.wanted = frozenset(names)
        self.met: list[str] = []
        self.kept: dict[str, jax.Array] = {}

    def offer(self, name: str, output: jax.Array) -> jax.Array:
        """Returns an output, or what replaces it; keeps what it returns if that is wanted."""
        self.met.append(name)
        output = self.replaced.get(name, output)
        if name in self.wanted:
            self.kept[name] = output
        return output

    def check(self) -> None:
        """Checks, after a pass, that every name was met.

        Raises:
          ValueError: the network has no such stage.
        """
        missing = sorted((self.wanted | self.replaced.keys()) - set(self.met))
        if missing:
            raise ValueError(
                f"the network has no stage {', '.join(missing)}; it has {', '.join(self.met)}"
            )
