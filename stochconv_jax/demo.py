"""Serves a page that lets people ask trained networks: stochconv demo --help."""

from stochconv_jax.huge_pages import restart_with_huge_pages


def main() -> None:
    """Reads the command line and serves the page."""
    restart_with_huge_pages()  # before the imports, which take seconds
    from stochconv_jax.demonstration.command import main as demo

    demo()


if __name__ == "__main__":
    main()
