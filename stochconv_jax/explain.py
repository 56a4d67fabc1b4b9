"""Explains what a run says of photographs: python -m stochconv_jax.explain --help."""

from stochconv_jax.huge_pages import restart_with_huge_pages


def main() -> None:
    """Reads the command line and explains."""
    restart_with_huge_pages()  # before the imports, which take seconds
    from stochconv_jax.explanations.command import main as explain

    explain()


if __name__ == "__main__":
    main()
