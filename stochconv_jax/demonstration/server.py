"""Serving a page, on this machine alone unless told otherwise."""

import contextlib
import datetime
from collections.abc import Iterator

import gradio
from gradio.state_holder import StateHolder
from starlette.middleware import Middleware

from stochconv_jax.demonstration.guard import Guard
from stochconv_jax.demonstration.page import CSS, DemoPage
from stochconv_jax.demonstration.periodic import every
from stochconv_jax.demonstration.rate_limit import RateLimit
from stochconv_jax.demonstration.uploaded_image import MEGA
from stochconv_jax.errors import InputError

# Sessions in memory, the latest, and seconds that each is remembered; it holds one upload.
SESSIONS, REMEMBERED = 50, 900.0


@contextlib.contextmanager
def serve(
    page: DemoPage, host: str, port: int, rate: int, remembered: float = REMEMBERED
) -> Iterator[str]:
    """Serves a page until the context ends; yields its address.

    Nothing is fetched from elsewhere and nothing sent there.

    Args:
      page: to serve.
      host: name or address to listen on.
      port: likewise.
      rate: requests that a client may make in a minute.
      remembered: seconds since it last asked for which a session is kept, its upload with it.

    Raises:
      InputError: it cannot listen there.
    """
    blocks, longest_file = page.build(), int(page.limits.megabytes * MEGA)
    guard = Middleware(Guard, rate=RateLimit(rate), longest_file=longest_file)
    try:
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
            state_session_capacity=SESSIONS,
            max_file_size=longest_file,
            theme=gradio.themes.Base(
                font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")
            ),
            css_paths=CSS,
            app_kwargs={"middleware": [guard]},
        )
    except OSError as error:
        raise InputError(
            f"nothing can listen on {host}, port {port}: it is taken, or not of this machine; "
            "choose another --port or --host"
        ) from error
    try:
        with every(remembered / 10, lambda: forget_sessions(app.state_holder, remembered)):
            yield address
    finally:
        blocks.close(verbose=False)


def forget_sessions(holder: StateHolder, age: float) -> None:
    """Drops what is kept of sessions that asked for nothing in `age` seconds.

    Gradio drops their variables alone, and keeps every component's last value: images as well.
    """
    now = datetime.datetime.now()
    with holder.lock:
        for session, used in list(holder.time_last_used.items()):
            if (now - used).total_seconds() > age:
                holder.time_last_used.pop(session, None)
                holder.session_data.pop(session, None)
