"""Yocho: finds the search that comes before an attack, in network traffic.

The folders follow the flow: capture → windows → patterns → alerts → store → api, cli, web.
"""
