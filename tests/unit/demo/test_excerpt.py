"""What the demo shows of a make target."""

from __future__ import annotations

from demo.stack import Excerpt

preview = """\
set-up for stack dev
  stack            dev is there (0.0 s)
set-up done after 0.2 s
Previewing update (dev):

  pulumi:pulumi:Stack: (same)
    ~ berth:index:NodePeers: (update)
        [id=peers-node-1]
      ~ digest: "sha256:aa" => "sha256:bb"

    ~ berth:index:AccessList: (update)
        [id=31337-0x5F]
      ~ entries: {
          + 7: {
                key: "k="
            }
        }
    ~ berth:index:NodePeers: (update)
      ~ block: {
          ~ number: 5 => 6
        }
Outputs:
  ~ accessList: {
      ~ count: 1 => 2
    }

Resources:
    ~ 3 to update
stack dev is up: http://localhost/ is its page
next: press Connect
"""


def test_the_list_is_told_and_what_surrounds_it_is_not() -> None:
    excerpt = Excerpt()
    shown = [line for line in preview.splitlines(keepends=True) if excerpt.shows(line)]
    assert (
        "".join(shown)
        == """\
Previewing update (dev):
  pulumi:pulumi:Stack: (same)
    ~ berth:index:AccessList: (update)
        [id=31337-0x5F]
      ~ entries: {
          + 7: {
                key: "k="
            }
        }
Resources:
    ~ 3 to update
"""
    )
