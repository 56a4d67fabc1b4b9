"""Trains a run once more, with corrected images: stochconv retrain --help."""

from stochconv_jax.huge_pages import restart_with_huge_pages


def main() -> None:
    """Reads the command line, trains and judges."""
    restart_with_huge_pages()  # before the imports, which take seconds
    # Here, so that the worker processes, which read this file again, need not import it all.
    from stochconv_jax.feedback.retrain_command import main as retrain

    retrain()


if __name__ == "__main__":
    main()
