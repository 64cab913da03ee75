"""Document -> nodes, ports and links; scatter, when, linkMerge and pickValue. Pure."""
