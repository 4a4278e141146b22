"""From what was asked to what runs: logical nodes, rules, text, native plan."""
