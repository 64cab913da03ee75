"""Control groups of this host (cgroups(7)), versions 1 and 2.

``hierarchy`` says where they are and which one is ours, ``reading`` what a group's processes use,
``group`` is one with limits, ``tools`` makes, finds and removes those of plain processes.
"""
