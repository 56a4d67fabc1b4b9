"""The outputs of stages that somebody asked for."""

from collections.abc import Collection

import jax


class StageOutputs:
    """Keeps the outputs of the named stages as a pass comes to them.

    The names are BRANCH/stem, BRANCH/stageN, BRANCH/head, trunk/stageN and trunk/head.
    """

    def __init__(self, names: Collection[str] = ()):
        self.names = frozenset(names)
        self.met: list[str] = []
        self.kept: dict[str, jax.Array] = {}

    def offer(self, name: str, output: jax.Array) -> None:
        """Keeps an output if its name was asked for."""
        self.met.append(name)
        if name in self.names:
            self.kept[name] = output

    def check(self) -> None:
        """Checks, after a pass, that every name was met.

        Raises:
          ValueError: the network has no such stage.
        """
        missing = sorted(self.names - set(self.met))
        if missing:
            raise ValueError(
                f"the network has no stage {', '.join(missing)}; it has {', '.join(self.met)}"
            )
