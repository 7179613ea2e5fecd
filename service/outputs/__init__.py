"""Where events of alerts go by themselves: webhooks, syslog, files; each at least once, and in order."""
