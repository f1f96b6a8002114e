"""A plan in words and as a diagram: who starts at once, who waits for whom, each call's stack, the worst-case time."""

from __future__ import annotations

import re

from app.engine.plan import Plan, Step
from app.expressions.marks import veiled


def describe(plan: Plan) -> str:
    """The plan as text, one block a call, in the order in which calls can start."""
    head = f"{plan.name}: {plan.method} {plan.route}, deadline {_ms(plan.spec.deadline)}, worst case {_ms(worst_case(plan))}"
    if plan.spec.proxy is not None:
        return f"{head}\n\n  passes through to {plan.spec.proxy.upstream} {veiled(plan.spec.proxy.path)}"
    blocks = [head]
    for number, wave in enumerate(waves(plan)):
        blocks.append("at once:" if number == 0 else "then:")
        blocks += [_block(step) for step in wave]
    return "\n\n".join(blocks)


def waves(plan: Plan) -> list[list[Step]]:
    """The steps by how many others stand one after another before them. A wave is no barrier: each call starts by itself."""
    depth: dict[str, int] = {}
    left = list(plan.steps)
    while left:
        for step in [s for s in left if all(n in depth for n in (*s.needs, *s.after))]:
            depth[step.name] = 1 + max((depth[n] for n in (*step.needs, *step.after)), default=-1)
            left.remove(step)
    return [[s for s in plan.steps if depth[s.name] == level] for level in range(max(depth.values(), default=-1) + 1)]


def worst_case(plan: Plan) -> float:
    """Seconds until the answer at the latest: the longest chain of worst cases, never over the deadline."""
    ends: dict[str, float] = {}
    for wave in waves(plan):
        for step in wave:
            start = max((ends[n] for n in (*step.needs, *step.after)), default=0.0)
            ends[step.name] = start + step.stack.worst_case(plan.spec.deadline)
    return min(plan.spec.deadline, max(ends.values(), default=plan.spec.deadline))


def mermaid(plan: Plan) -> str:
    """The plan as a Mermaid flowchart; a thick arrow carries data, a dotted one order alone."""
    lines = ["flowchart LR", f'  request(["{plan.method} {plan.route}"])']
    names = _node_ids([step.name for step in plan.steps])
    for step in plan.steps:
        mark = " (required)" if step.required else ""
        lines.append(f'  {names[step.name]}["{step.name}{mark}<br/>{step.spec.upstream}"]')
        if not step.needs and not step.after:
            lines.append(f"  request --> {names[step.name]}")
        lines += [f"  {names[n]} ==> {names[step.name]}" for n in step.needs]
        lines += [f"  {names[n]} -.-> {names[step.name]}" for n in step.after]
    return "\n".join(lines)


def _node_ids(calls: list[str]) -> dict[str, str]:
    """Ids that Mermaid reads as one word each: the call's name, but for what it keeps for itself."""
    ids: dict[str, str] = {}
    for call in calls:
        name = re.sub(r"\W", "_", call, flags=re.ASCII)
        while name in ids.values() or name in ("end", "request", "graph", "flowchart", "subgraph", "style", "class", "click"):
            name += "_"
        ids[call] = name
    return ids


def _block(step: Step) -> str:
    path = step.spec.path or ("/graphql" if step.spec.graphql is not None else None)
    target = f" {veiled(path)}" if path else ""
    lines = [f"  {step.name}: {step.method} {step.spec.upstream}{target}{'  required' if step.required else ''}"]
    if step.needs:
        lines.append(f"    needs {', '.join(step.needs)}")
    if step.after:
        lines.append(f"    after {', '.join(step.after)}")
    if step.each is not None:
        lines.append(f"    each {step.each.text}, {step.spec.concurrency} at once, at most {step.spec.max_items}")
    if step.when is not None:
        lines.append(f"    when {step.when.text}")
    return "\n".join([*lines, *(f"    {line}" for line in repr(step.stack).splitlines())])


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"
