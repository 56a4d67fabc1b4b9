"""Prepares images for training: stochconv prepare isic|folder|cifar|eyepacs|show --help."""


def main() -> None:
    """Reads the command line and prepares images."""
    # Here, so that the worker processes, which read this file again, need not import it all.
    from stochconv_jax.data.preparation.command import main as prepare

    prepare()


if __name__ == "__main__":
    main()
