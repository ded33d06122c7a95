"""Resources that this process has used."""

import resource


def peak_memory_mb() -> int:
    """Peak memory in MB of this process, or of one that it started and that has exited."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(usage.ru_maxrss for usage in usages) // 1024
