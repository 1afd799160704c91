"""How the model server fails.

    LLMError                   llm_error         503 when nobody can be answered without it
     ├─ LLMUnreachable         llm_unreachable   refused, no such host, no connection in time
     │   └─ LLMNotConfigured   llm_not_configured  there is no address to ask
     ├─ LLMUnauthorized        llm_unauthorized  401, 403
     ├─ LLMModelNotFound       llm_model_not_found  404
     ├─ LLMBusy                llm_busy          429
     ├─ LLMRejected            llm_rejected      any other answer that is neither a success nor a 5xx
     ├─ LLMServerError         llm_server_error  5xx, or an error object within the stream
     ├─ LLMSilent              llm_silent        no byte in time, or nothing that makes sense
     ├─ LLMTooSlow             llm_too_slow      the answer as a whole took too long
     ├─ LLMCut                 llm_cut           the connection ended before the answer did
     ├─ LLMLineTooLong         llm_line_too_long one line of the stream is over the limit
     ├─ LLMTooLong             llm_too_long      the text of one answer is over the limit
     └─ LLMEmbeddingUnusable   llm_embedding_unusable  embeddings that cannot be reckoned with

Each `detail` reads `[Error: …]`: what happened and what to do about it. A server's own words are quoted in one line,
cut short; keys and credentials of ours never are.
"""

from __future__ import annotations

from rest_framework import status

from apps.core.errors import GantryError

QUOTED_CHARACTERS = 300


class LLMError(GantryError):
    """The model server did not do what it was asked."""

    code = "llm_error"
    status = status.HTTP_503_SERVICE_UNAVAILABLE

    def __init__(self, sentence: str) -> None:
        super().__init__(f"[Error: {sentence}]")


class LLMUnreachable(LLMError):
    """There is no connection to it."""

    code = "llm_unreachable"

    def __init__(self, host: str) -> None:
        super().__init__(f"Could not connect to LLM service at {host}. Is it running?")


class LLMNotConfigured(LLMUnreachable):
    """Its address is missing or makes no sense."""

    code = "llm_not_configured"

    def __init__(self, problem: str = "No model server is configured.") -> None:
        LLMError.__init__(self, f"{problem} Set TABBY_HOST to its address, or run `bin/gantry start`.")


class LLMUnauthorized(LLMError):
    """It does not accept our key."""

    code = "llm_unauthorized"

    def __init__(self, quote: str = "") -> None:
        super().__init__(f"The model server refused the key. Check LLM_API_KEY.{_said(quote)}")


class LLMModelNotFound(LLMError):
    """It does not have that model, or not that route."""

    code = "llm_model_not_found"

    def __init__(self, quote: str = "") -> None:
        super().__init__(
            f"The model server does not know this model. Choose another one, or check TABBY_HOST.{_said(quote)}"
        )


class LLMBusy(LLMError):
    """It has too much to do."""

    code = "llm_busy"

    def __init__(self, quote: str = "") -> None:
        super().__init__(f"The model server is busy. Try again in a moment.{_said(quote)}")


class LLMRejected(LLMError):
    """It does not take the request as it is."""

    code = "llm_rejected"

    def __init__(self, http_status: int, quote: str = "") -> None:
        super().__init__(f"The model server did not accept the request (HTTP {http_status}).{_said(quote)}")


class LLMServerError(LLMError):
    """Something broke inside it."""

    code = "llm_server_error"

    def __init__(self, quote: str = "") -> None:
        self.quote = quote
        super().__init__(f"The model server failed. Try again, or look into its log.{_said(quote)}")


class LLMSilent(LLMError):
    """It says nothing."""

    code = "llm_silent"

    def __init__(self, seconds: float | None = None) -> None:
        what = "sent nothing that can be understood" if seconds is None else f"sent nothing for {seconds:g} seconds"
        super().__init__(f"The model server {what}. Try again, or look into its log.")


class LLMTooSlow(LLMError):
    """It takes longer than an answer may take in all."""

    code = "llm_too_slow"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"The answer was not finished after {seconds:g} seconds. Ask for less, or try again.")


class LLMCut(LLMError):
    """The connection ended in mid-answer."""

    code = "llm_cut"

    def __init__(self) -> None:
        super().__init__("The model server ended the connection before the answer was complete. Try again.")


class LLMLineTooLong(LLMError):
    """One line of the event stream is over the limit."""

    code = "llm_line_too_long"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The model server sent a line of more than {limit:,} bytes. Check what TABBY_HOST points to.")


class LLMTooLong(LLMError):
    """The text of one answer is over the limit."""

    code = "llm_too_long"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The answer was stopped at {limit:,} characters. Ask for less.")


class LLMEmbeddingUnusable(LLMError):
    """What it sent as embeddings cannot be reckoned with."""

    code = "llm_embedding_unusable"

    def __init__(self, problem: str) -> None:
        super().__init__(f"The model server's embeddings cannot be used. {problem} Check EMBEDDING_MODEL.")


def refusal(http_status: int, quote: str = "") -> LLMError:
    """The error that an answer with this status stands for; `quote` is what the server says about it."""
    if http_status >= 500:
        return LLMServerError(quote)
    match http_status:
        case 401 | 403:
            return LLMUnauthorized(quote)
        case 404:
            return LLMModelNotFound(quote)
        case 429:
            return LLMBusy(quote)
        case _:
            return LLMRejected(http_status, quote)


def _said(quote: str) -> str:
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in quote).split())
    if len(line) > QUOTED_CHARACTERS:
        line = line[:QUOTED_CHARACTERS].rstrip() + "…"
    return f" It said: {line}" if line else ""
