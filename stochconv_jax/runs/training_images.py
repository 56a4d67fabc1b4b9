"""What a network was trained on, in a sentence for whoever is shown what it says."""

from stochconv_jax.runs.run import Run


def describe_training(run: Run) -> str:
    """Returns how many images a run was trained on, and whether they were drawings.

    "" of an exported network, which comes without the names of its images.
    """
    if not (run.directory / "images.csv").is_file():
        return ""
    count = sum(row["split"] == "train" for row in run.images())
    if run.config.data.name == "synthetic_lesions":
        return (
            f"It was trained on {count:,} drawings by a program: what it says of photographs means "
            "nothing."
        )
    return f"It was trained on {count:,} images; of others than these it may know less."
