"""Hooks around creation, update and deletion: of a thing and of a component; failing before (3) and after (4)."""

from pulumi import ResourceHook, ResourceHookArgs, ResourceHookBinding, ResourceHookOptions
from things import Group, Opts, Thing, note, version


def telling(name, **options):
    def tell(args: ResourceHookArgs):
        inputs = [sorted(some) if some is not None else None for some in (args.new_inputs, args.old_inputs)]
        outputs = [sorted(some) if some is not None else None for some in (args.new_outputs, args.old_outputs)]
        note(f"hook {args.name}: {name} id={args.id} type={args.type} inputs={inputs} outputs={outputs}")

    return ResourceHook(name, tell, ResourceHookOptions(**options) if options else None)


def failing(args: ResourceHookArgs):
    raise RuntimeError("not today" if version == 3 else "too late")


moments = ("before_create", "after_create", "before_update", "after_update", "before_delete", "after_delete")
hooks = {moment: [telling(moment, on_dry_run=moment.startswith("before"))] for moment in moments}
thing = Thing("thing", size=version, kind=str(version // 5), opts=Opts(hooks=ResourceHookBinding(**hooks)))
if version < 5:
    Thing("goes", opts=Opts(hooks=ResourceHookBinding(before_delete=hooks["before_delete"])))
Group("group", opts=Opts(hooks=ResourceHookBinding(**hooks)), props={"version": min(version, 2)}).register_outputs(
    {"v": min(version, 2)}
)
if version == 2:
    quiet = ResourceHook("quiet", failing, ResourceHookOptions(ignore_errors=True))
    Thing("quiet", opts=Opts(hooks=ResourceHookBinding(before_create=[quiet])))
elif version > 2:
    Thing("quiet")
if version in (3, 4):
    fail = ResourceHook("fail", failing)
    binding = ResourceHookBinding(before_create=[fail]) if version == 3 else ResourceHookBinding(after_create=[fail])
    Thing("fails", opts=Opts(hooks=binding, depends_on=[thing]))
