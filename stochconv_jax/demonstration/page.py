"""The page: an upload, the answer, why, and a flag where it is wrong."""

import contextlib
import html
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import gradio

from stochconv_jax.data.dataset.metadata import Metadata
from stochconv_jax.data.image_file import EXTENSIONS
from stochconv_jax.demonstration.network import Answer, DemoNetwork
from stochconv_jax.demonstration.rendering import (
    render_answer,
    render_example,
    render_explanations,
    render_heading,
    render_small_print,
)
from stochconv_jax.demonstration.turns import Turns
from stochconv_jax.demonstration.uploaded_image import UploadLimits
from stochconv_jax.errors import InputError
from stochconv_jax.feedback.plain_text import plain_text, without_folders
from stochconv_jax.feedback.store import FeedbackStore

TITLE = "What does the network see?"
LONGEST_COMMENT = 2000
NONE_OF_THESE: Any = ("none of these", "")
NOTHING_YET = '<p class="empty">Upload an image, and the answer appears here.</p>'
CSS = pathlib.Path(__file__).with_name("page.css")


class DemoPage:
    """What the page does; every method of it is one thing that somebody can ask for."""

    def __init__(
        self,
        networks: Sequence[DemoNetwork],
        store: FeedbackStore,
        limits: UploadLimits,
        examples: Sequence[pathlib.Path] = (),
    ):
        """Prepares a page.

        Args:
          networks: to choose among; they are told the same columns of each image.
          store: of flags.
          limits: of uploads.
          examples: image files that are offered to whoever has none.
        """
        self.networks: Mapping[str, DemoNetwork] = {each.name: each for each in networks}
        self.store, self.limits, self.examples = store, limits, examples
        self._turns = Turns()

    def predict(
        self, upload: Mapping[str, Any] | None, remembered: Answer | None, network: str, *known: Any
    ) -> tuple[dict[str, Any], Answer]:
        """Returns what a network says of an image file; of the last one where none is given."""
        with _told():
            if upload:
                path = _path_of(upload)
                told = str(upload.get("orig_name") or path.name)
                answer = self._ask(network, without_folders(told), path, known)
            elif remembered:
                answer = self._ask(network, remembered.name, remembered.content, known)
            else:
                raise InputError("there is no image yet, or it has been forgotten; upload one")
            return self.networks[network].describe(answer), answer

    def predict_example(
        self, number: int, network: str, *known: Any
    ) -> tuple[dict[str, Any], Answer]:
        """Returns what a network says of an example."""
        with _told():
            if not isinstance(number, int) or not 0 <= number < len(self.examples):
                raise InputError("there is no such example; choose one of those on the page")
            path = self.examples[number]
            answer = self._ask(network, path.name, path, known)
            return self.networks[network].describe(answer), answer

    def show(self, answer: Answer | None) -> tuple[Any, ...]:
        """Returns the answer as people read it, and makes room for what may be asked next."""
        with _told():
            known = _remembered(answer)
            network = self.networks[known.network]
            choices = [*network.classes, NONE_OF_THESE]
            correct = gradio.Dropdown(choices=choices, value=None)
            more = gradio.Column(visible=True)
            return None, render_answer(network, known), more, "", correct, "", ""

    def explain(self, answer: Answer | None) -> str:
        """Returns maps of the last image, with what they mean, as HTML."""
        with _told():
            known = _remembered(answer)
            with self._turns():
                return render_explanations(self.networks[known.network], known)

    def flag(self, answer: Answer | None, correct_class: str | None, comment: str) -> str:
        """Keeps the last image, what was said of it and what is right instead."""
        with _told():
            known = _remembered(answer)
            if correct_class is None:
                raise InputError("say what it is: choose a class, or “none of these”")
            comment = plain_text(str(comment or ""), "\n\t")
            if len(comment) > LONGEST_COMMENT:
                raise InputError(f"the comment has more than {LONGEST_COMMENT} characters")
            network = self.networks[known.network]
            number = self.store.add(
                run=network.name,
                step=network.predictor.network.step,
                name=known.name,
                image=known.content,
                probabilities=network.probabilities(known),
                decision=known.found.decision,
                correct_class=correct_class,
                comment=comment,
            )
            return f"Thank you. It is kept as flag {number}, with the image and your comment."

    def build(self) -> gradio.Blocks:
        """Returns the page as Gradio serves it."""
        first = self.networks[next(iter(self.networks))]
        with gradio.Blocks(title=TITLE, analytics_enabled=False) as page:
            gradio.HTML(render_heading(TITLE, self.networks.values()))
            with gradio.Row():
                with gradio.Column(scale=1, min_width=300):
                    question = self._question(first)
                with gradio.Column(scale=3, min_width=420):
                    answer = gradio.HTML(NOTHING_YET, elem_id="answer")
            with gradio.Column(visible=False) as more:
                reply = _reply(answer, more, first)
            self._connect(question, reply)
        # Everything begins as it comes, so that uploads are read at once and wait in memory.
        return page.queue(default_concurrency_limit=None, api_open=True)

    def _question(self, first: DemoNetwork) -> "_Question":
        names = list(self.networks)
        several = len(names) > 1
        network = gradio.Dropdown(names, value=names[0], label="Network", visible=several)
        known = _fields(first.run.metadata)
        upload = gradio.File(
            label="1. Your image",
            file_types=[suffix for kind in EXTENSIONS.values() for suffix in kind],
            height=150,
            elem_id="upload",
        )
        again = gradio.Button("Ask again", visible=several or bool(known))
        examples = None
        if self.examples:
            examples = gradio.Dataset(
                components=[gradio.HTML(visible=False)],
                samples=[[render_example(path)] for path in self.examples],
                type="index",
                samples_per_page=6,
                label="Or one of these examples",
                elem_id="examples",
            )
        gradio.HTML(render_small_print(self.limits))
        return _Question(network, known, upload, again, examples)

    def _connect(self, question: "_Question", reply: "_Reply") -> None:
        """Says what happens when somebody does something."""
        remembered = gradio.State(None)
        asked = [gradio.JSON(visible=False, label="answer"), remembered]
        shown = [question.upload, *reply.shown]
        told = [question.network, *question.known]
        asks = gradio.on(
            [question.upload.upload, question.again.click],
            self.predict,
            [question.upload, remembered, *told],
            asked,
            api_name="predict",
            # As Gradio's own, which would leave an empty file each time, but for the file's name.
            preprocess=False,
            show_progress_on=reply.answer,
        )
        asks.success(self.show, remembered, shown, api_visibility="private")
        # Another upload is to find its place empty.
        asks.failure(lambda: None, None, question.upload, api_visibility="private")
        if question.examples:
            question.examples.click(
                self.predict_example,
                [question.examples, *told],
                asked,
                api_visibility="private",
                show_progress_on=reply.answer,
            ).success(self.show, remembered, shown, api_visibility="private")
        reply.why.click(self.explain, remembered, reply.maps, api_name="explain")
        flagged = [remembered, reply.correct, reply.comment]
        reply.wrong.click(self.flag, flagged, reply.kept, api_name="flag")

    def _ask(
        self, name: str, file_name: str, content: pathlib.Path | bytes, known: Sequence[Any]
    ) -> Answer:
        if not isinstance(name, str) or name not in self.networks:
            raise InputError(f"there is no network {name!r}; use one of {', '.join(self.networks)}")
        if isinstance(content, pathlib.Path):
            try:
                content = content.read_bytes()
            except OSError as error:
                raise InputError("the upload is gone; upload the image again") from error
        self.limits.check(content)
        network = self.networks[name]
        values = ["" if value is None else str(value) for value in known]
        row = dict(zip(network.columns, values, strict=True)) if network.columns else None
        with self._turns():
            return network.answer(file_name, content, row)


class _Question(NamedTuple):
    """What somebody asks with."""

    network: gradio.Dropdown
    known: list[Any]
    upload: gradio.File
    again: gradio.Button
    examples: gradio.Dataset | None


class _Reply(NamedTuple):
    """Where the answer appears, and what can be said of it."""

    answer: gradio.HTML
    more: gradio.Column
    why: gradio.Button
    maps: gradio.HTML
    correct: gradio.Dropdown
    comment: gradio.Textbox
    wrong: gradio.Button
    kept: gradio.HTML

    @property
    def shown(self) -> list[Any]:
        """What changes with a new answer."""
        return [self.answer, self.more, self.maps, self.correct, self.comment, self.kept]


def _reply(answer: gradio.HTML, more: gradio.Column, first: DemoNetwork) -> _Reply:
    why = gradio.Button("2. Why? Show what moved the network", elem_id="why")
    maps = gradio.HTML(elem_id="maps")
    correct = gradio.Dropdown(
        [*first.classes, NONE_OF_THESE],
        value=None,
        label="3. Wrong? It is …",
        allow_custom_value=True,  # other networks have other classes: the store judges
        elem_id="correct",
    )
    comment = gradio.Textbox(
        label="Comment (no names of patients)",
        max_length=LONGEST_COMMENT,
        lines=2,
        elem_id="comment",
    )
    wrong = gradio.Button("Flag as wrong, and keep the image", elem_id="flag")
    kept = gradio.HTML(elem_id="kept")
    return _Reply(answer, more, why, maps, correct, comment, wrong, kept)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Shows a mistake on the page, where messages are HTML."""
    try:
        yield
    except InputError as error:
        sentence = html.escape(str(error), quote=False)
        raise gradio.Error(sentence, print_exception=False) from error


def _path_of(upload: Any) -> pathlib.Path:
    """Returns where an upload lies; Gradio has seen to it that it is one, if it is a file."""
    path = upload.get("path") if isinstance(upload, Mapping) else None
    if not isinstance(path, str):
        raise InputError("the upload is no file; upload one image")
    return pathlib.Path(path)


def _remembered(answer: Answer | None) -> Answer:
    if answer is None:
        raise InputError("there is no image yet, or it has been forgotten; upload it again")
    return answer


def _fields(metadata: Metadata | None) -> list[Any]:
    """Returns an input for each column that a network is told, empty where it is not known."""
    if metadata is None:
        return []
    numbers = [gradio.Number(None, label=column) for column in metadata.numbers]
    categories = [
        gradio.Dropdown([("not known", ""), *values], value="", label=column)
        for column, values in metadata.categories.items()
    ]
    return [*numbers, *categories]
