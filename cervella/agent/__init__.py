"""Agent and Session: the only room where soul, knowledge and brain meet."""
