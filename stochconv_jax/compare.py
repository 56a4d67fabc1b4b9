"""Compares runs on one page: stochconv compare --help."""


def main() -> None:
    """Reads the command line and writes the comparison."""
    from stochconv_jax.evidence.compare import main as compare

    compare()


if __name__ == "__main__":
    main()
