"""Serving a page, on this machine alone unless told otherwise."""

import contextlib
from collections.abc import Iterator, Sequence

import gradio
from gradio.routes import App
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from stochconv_jax.demonstration.guard import Guard
from stochconv_jax.demonstration.page import CSS, DemoPage
from stochconv_jax.demonstration.periodic import every
from stochconv_jax.demonstration.port import listening
from stochconv_jax.demonstration.rate_limit import RateLimit
from stochconv_jax.demonstration.sessions import REMEMBERED, Sessions
from stochconv_jax.demonstration.uploaded_image import MEGA

# By these a browser on this machine reaches it, and no other page can have them.
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
# Messages that a session may leave unread; an answer is about ten of them.
MOST_UNREAD = 100
# Seconds between two looks at what may be dropped.
SWEEP = 5.0


@contextlib.contextmanager
def serve(
    page: DemoPage,
    host: str,
    port: int,
    rate: int,
    names: Sequence[str] = (),
    remembered: float = REMEMBERED,
) -> Iterator[str]:
    """Serves a page until the context ends; yields its address.

    Nothing is fetched from elsewhere and nothing sent there.

    Args:
      page: to serve.
      host: name or address to listen on.
      port: likewise.
      rate: requests that a client may make in a minute.
      names: that the page is reached by, beside `host` and those of this machine.
      remembered: seconds since it last asked for which a session is kept, its upload with it.

    Raises:
      InputError: it cannot listen there.
    """
    blocks, sessions = page.build(), Sessions(remembered)
    longest_file = int(page.limits.megabytes * MEGA)
    guards = [
        # Else a name of somebody else's that points here would make their page one of ours.
        Middleware(
            TrustedHostMiddleware, allowed_hosts=[*LOOPBACK, host, *names], www_redirect=False
        ),
        Middleware(Guard, rate=RateLimit(rate), sessions=sessions, longest_file=longest_file),
    ]
    with listening(host, port):
        app, address = _launch(blocks, host, port, longest_file, guards)
    try:
        with every(min(SWEEP, remembered / 10), lambda: forget_sessions(app, sessions)):
            yield address
    finally:
        blocks.close(verbose=False)


def _launch(
    blocks: gradio.Blocks, host: str, port: int, longest_file: int, guards: list[Middleware]
) -> tuple[App, str]:
    """Starts Gradio with everything off that would tell others, and returns its address."""
    app, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        share=False,
        quiet=True,
        prevent_thread_lock=True,
        inbrowser=False,
        inline=False,
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        max_file_size=longest_file,
        theme=gradio.themes.Base(
            font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")
        ),
        css_paths=CSS,
        app_kwargs={"middleware": guards},
    )
    return app, address


def forget_sessions(app: App, sessions: Sessions) -> None:
    """Drops what Gradio keeps of sessions that are not remembered, and what nobody fetches.

    Gradio would keep every component's last value, and every message that was not read: images as
    well.
    """
    sessions.forget_old()
    holder, queue = app.state_holder, app.get_blocks()._queue
    with holder.lock:
        for session in list(holder.session_data):
            if session not in sessions:
                holder.session_data.pop(session, None)
                holder.time_last_used.pop(session, None)
    for session in list(queue.pending_messages_per_session):
        messages = queue.pending_messages_per_session.get(session)
        if session not in sessions or (messages and messages.qsize() > MOST_UNREAD):
            queue.pending_messages_per_session.pop(session, None)
            queue.pending_event_ids_session.pop(session, None)
