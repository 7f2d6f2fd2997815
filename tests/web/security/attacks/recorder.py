"""Records what a check has shown, so that none passes without having shown anything."""


class Attack:
    """One check: an attack that was refused, and its counterpart that was allowed."""

    def __init__(self) -> None:
        self._refused = False
        self._allowed = False

    def refused(self, failed: bool, detail: object = "") -> None:
        """Asserts that the attack failed. May be called more than once."""
        assert failed, f"the attack got through: {detail}"
        self._refused = True

    def allowed(self, succeeded: bool, detail: object = "") -> None:
        """Asserts that the legitimate counterpart succeeded. May be called more than once."""
        assert succeeded, f"the legitimate counterpart was refused: {detail}"
        self._allowed = True

    def assert_conclusive(self) -> None:
        assert self._refused, "vacuous: the check never showed that an attack was refused"
        assert self._allowed, "vacuous: the check never showed that its counterpart was allowed"
