"""The attack suite: what an attacker would try, and proof that it fails.

The convention:

- One pytest item is one check. Parametrise instead of looping, so that each attack is counted and named.
- Each item makes an attack that must fail *and* its counterpart that must succeed: the same request by
  someone who is entitled to it, or the same message unforged. Report both through the `attack` fixture:

      def test_a_stranger_cannot_read_a_document(attack, world):
          attack.refused(read(stranger).status_code == 404)
          attack.allowed(read(reader).status_code == 200)

  An item that does not report both fails, so a check cannot be vacuous by accident.
- `world` is planted once per module and every item is rolled back, which keeps items fast. A module uses
  either `world` (with `engine` for its index and models) or fixtures of its own such as `mia`, `base` and
  `parts`; both in one module get in each other's way.
- No server processes unless the attack needs one. Checks that need a service which is not installed are
  skipped and say what is missing.

`tests/web/security/test_attack_suite.py` counts the checks.
"""
