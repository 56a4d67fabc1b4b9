"""Shows and imports weights that others trained: python -m stochconv_jax.import_weights --help."""


def main() -> None:
    """Reads the command line and imports."""
    from stochconv_jax.runs.import_command import main as import_weights

    import_weights()


if __name__ == "__main__":
    main()
