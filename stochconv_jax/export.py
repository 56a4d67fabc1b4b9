"""Exports a run's network for elsewhere: stochconv export --help."""


def main() -> None:
    """Reads the command line and exports."""
    # Not before the command is known, since it takes seconds.
    from stochconv_jax.exporting.command import main as export

    export()


if __name__ == "__main__":
    main()
