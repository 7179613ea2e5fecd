"""Talks to a running service; `yocho` shows what users import."""
