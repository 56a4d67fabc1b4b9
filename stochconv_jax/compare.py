"""Compares runs on one page: python -m stochconv_jax.compare --help."""

if __name__ == "__main__":
    from stochconv_jax.evidence.compare import main

    main()
