"""Predicts photographs with a trained run: python -m stochconv_jax.predict --help."""

from stochconv_jax.huge_pages import restart_with_huge_pages


def main() -> None:
    """Reads the command line and predicts."""
    restart_with_huge_pages()  # before the imports, which take seconds
    from stochconv_jax.prediction.command import main as predict

    predict()


if __name__ == "__main__":
    main()
