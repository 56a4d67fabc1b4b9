"""Asks whether detail matters on somebody's images: stochconv probe folder|prepared --help."""

from stochconv_jax.huge_pages import restart_with_huge_pages


def main() -> None:
    """Reads the command line and looks at the images."""
    restart_with_huge_pages()  # before the imports, which take seconds
    # Here, so that the worker processes, which read this file again, need not import it all.
    from stochconv_jax.probing.command import main as probe

    probe()


if __name__ == "__main__":
    main()
