"""Every error Sluice raises on purpose.

SluiceError
├── BadInput            change the input, then try again
│   ├── NotFound        the named thing does not exist
│   └── UnknownVersion  the bytes were written in a format this release cannot read
├── BadOutput           the model answered something unusable; the raw answer is kept
├── Conflict            the same name or key already stands for other content
├── Misconfigured       ops must change a setting
├── Lost                the claim was taken over or ended; drop the work
└── Retryable           nothing is wrong with the input; try again later
    ├── Full            a limit is reached; `retry_after_s` says when to try again
    ├── Unavailable     a service that is needed did not answer
    └── EngineDead      the engine cannot serve any request any more; the process must restart
        └── EngineStuck it lives, but answers nothing
"""


class SluiceError(Exception):
    """Something went wrong in Sluice."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class BadInput(SluiceError):
    """The input cannot be processed. Change it, then submit it again."""


class NotFound(BadInput):
    """No such thing. Check the name."""


class UnknownVersion(BadInput):
    """These bytes were written in a format that this release cannot read. Upgrade this side."""


class BadOutput(SluiceError):
    """The model gave an answer that cannot be used."""

    def __init__(self, message: str | None = None, *, raw: str = "") -> None:
        super().__init__(message)
        self.raw = raw


class Conflict(SluiceError):
    """The same name or key already stands for other content. Use a new one."""


class Misconfigured(SluiceError):
    """A setting must be changed before this can run."""


class Lost(SluiceError):
    """The claim was taken over or has ended. Drop this work: its result will not be accepted."""


class Retryable(SluiceError):
    """This failed for now. Try again later."""


class Full(Retryable):
    """A limit is reached and nothing was accepted. Try again later."""

    def __init__(self, message: str | None = None, *, retry_after_s: float = 5.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(Retryable):
    """A service that is needed did not answer, and nothing was accepted. Try again later."""


class EngineDead(Retryable):
    """The engine cannot serve any request any more. The process must restart."""


class EngineStuck(EngineDead):
    """The engine answers nothing any more. The process must restart."""
