"""The installed program: stochconv VERB ..., where every verb is a module of the package."""

import importlib
import sys

from stochconv_jax import __version__

VERBS = {
    "prepare": "make images one size, and splits without leaks",
    "probe": "ask whether detail matters on your images, before any training",
    "import_weights": "show what a file of weights holds, and import it",
    "train": "train a network, or go on with its training",
    "eval": "judge a run on labelled images, with intervals and a report",
    "predict": "let a run classify images",
    "explain": "show why a run says what it says of images",
    "demo": "let people ask runs on a page, and flag what is wrong",
    "feedback": "make what people flagged as wrong ready to train with",
    "retrain": "train on old and corrected images, and take it where it is not worse",
    "study": "train and evaluate several models with several seeds",
    "compare": "compare the runs of models on one page",
}


def main() -> None:
    """Hands the command line over to the verb that it names; an unknown one is exit code 2."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in VERBS:
        module = importlib.import_module(f"stochconv_jax.{verb}")
        sys.argv = [f"stochconv {verb}", *sys.argv[2:]]
        module.main()
    elif verb in ("-h", "--help"):
        print("usage: stochconv VERB ...\n")
        print("\n".join(f"  {name:14} {purpose}" for name, purpose in VERBS.items()))
        print("\n`stochconv VERB --help` says more. `python -m stochconv_jax.VERB` is the same.")
    elif verb == "--version":
        print(f"stochconv {__version__}")
    else:
        known = ", ".join(VERBS)
        print(f"error: stochconv has no verb {verb!r}; write one of {known}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
